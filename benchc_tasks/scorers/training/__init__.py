"""How the bundled demonstration model is trained: `python -m benchc_tasks.scorers.training -o FOLDER --seed 0`."""
