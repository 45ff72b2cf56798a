"""`headrace model`: train and evaluate the project's model bundles."""
import typer

app = typer.Typer(help="Train and evaluate model bundles.", no_args_is_help=True)
