"""The evaluation frameworks that benchc plugs into; nothing else imports one."""
