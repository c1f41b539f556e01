"""Train the bundled demonstration model: `python -m benchc_tasks.demonstration.training -o FOLDER --seed 0`."""
