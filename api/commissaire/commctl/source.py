"""commctl source …"""

from typing import Annotated

import typer

from commissaire.commctl.output import OutputOption, show
from commissaire.commctl.session import connect, segment

app = typer.Typer(help="Look at the external providers of hosts that the server knows.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The source's name.", show_default=False)]


@app.command("list")
def list_(ctx: typer.Context, output: OutputOption = None) -> None:
    """Show all sources, and whether they could be listed."""
    show(connect(ctx).get("/api/v1/sources").body["items"], output)


@app.command()
def get(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Show the hosts that a source listed last, and the status of those that the server manages."""
    show(connect(ctx).get(f"/api/v1/sources/{segment(name)}/hosts").body["items"], output)


@app.command()
def refresh(ctx: typer.Context, name: Name, output: OutputOption = None) -> None:
    """Let the server list a source soon."""
    show(connect(ctx).post(f"/api/v1/sources/{segment(name)}/refresh").body, output)
