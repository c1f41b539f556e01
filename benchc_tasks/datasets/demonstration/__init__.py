"""The bundled demonstration set: generated scenes with multiple-choice questions, and the script that makes them."""
