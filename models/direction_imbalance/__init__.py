"""The direction model that knows of up and down what queue imbalance alone tells."""
