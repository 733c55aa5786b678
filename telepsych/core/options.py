"""Options that many commands have."""

from pathlib import Path

import click

data_option = click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
