"""Option log-likelihoods from the models that lmms-eval can run."""
