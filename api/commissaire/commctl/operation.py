"""commctl operation …"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from commissaire.commctl.completion import clusters, hosts
from commissaire.commctl.errors import CommctlError
from commissaire.commctl.output import Format, OutputOption, either, say, show, tell
from commissaire.commctl.session import connect, segment

app = typer.Typer(help="Show, explain, watch and control operations.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The operation's id.", show_default=False)]
PATH = "/api/v1/operations"


@app.command("list")
def list_(
    ctx: typer.Context,
    kind: Annotated[str | None, typer.Option(help="Only of this kind, like restart.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Only on this cluster.", autocompletion=clusters)] = None,
    host: Annotated[str | None, typer.Option(help="Only on this host.", autocompletion=hosts)] = None,
    state: Annotated[
        str | None, typer.Option(help="Only in this state: queued, running, paused, finished, failed or cancelled.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, at most.")] = 50,
    before: Annotated[str | None, typer.Option(metavar="ID", help="Only older ones than this operation.")] = None,
    output: OutputOption = None,
) -> None:
    """Show operations, the newest first."""
    filters = {"kind": kind, "cluster": cluster, "host": host, "state": state, "limit": limit, "before": before}
    page = connect(ctx).get(PATH, {key: value for key, value in filters.items() if value is not None}).body
    show(page["items"], output)
    if page.get("next") and (output is Format.TABLE or sys.stdout.isatty()):
        tell(f"There are older ones: --before {page['next']}")


@app.command("show")
def show_(
    ctx: typer.Context,
    operation: Id,
    everything: Annotated[bool, typer.Option("--all", help="Tell of every host and package in full.")] = False,
    output: OutputOption = None,
) -> None:
    """Show what an operation did: what happened on each host when, what it changed, and the output of what failed."""
    from commissaire.commctl.story import fetch

    story = fetch(connect(ctx), segment(operation))
    if output is None:
        from commissaire.commctl.explain import explain

        say("\n".join(explain(story, everything=everything)))
    elif output is Format.TABLE:
        columns = ("address", "state", "phase", "message", "seconds")
        rows = [{name: host[name] for name in columns} for host in story["hosts"]]
        show({**{key: value for key, value in story.items() if key != "events"}, "hosts": rows}, output)
    else:
        show(story, output)


@app.command()
def timeline(ctx: typer.Context, operation: Id, output: OutputOption = None) -> None:
    """Draw an operation's timeline, a row a host. As YAML or JSON it is the server's own."""
    found = connect(ctx).get(f"{PATH}/{segment(operation)}/timeline").body
    if output is not None:
        show(found, output)
        return
    from rich.console import Console

    from commissaire.commctl.gantt import chart

    console = Console(highlight=False)
    with console.capture() as captured:
        for line in chart(found, console.width, ascii_only=console.options.ascii_only):
            console.print(line, soft_wrap=True)
    say(captured.get().rstrip("\n"))


@app.command()
def report(
    ctx: typer.Context,
    operation: Id,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The file to write (default: standard output)."),
    ] = None,
) -> None:
    """Write a report of an operation: one HTML file that needs nothing else."""
    from commissaire.commctl.report import report as render
    from commissaire.commctl.story import fetch

    page = render(fetch(connect(ctx), segment(operation)))
    if output is None:
        say(page)
        return
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CommctlError(
            f"the report can't be written to {output}: {error.strerror}; name another --output"
        ) from None


@app.command("watch")
def watch_(ctx: typer.Context, operation: Id) -> None:
    """Show an operation's progress until it ends; exit 2 unless it succeeds."""
    from commissaire.commctl.watch import watch

    watch(connect(ctx), segment(operation))


@app.command()
def cancel(
    ctx: typer.Context,
    operation: Id,
    after_current_hosts: Annotated[
        bool, typer.Option("--after-current-hosts", help="Let the hosts under way come to their end first.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Stop an operation."""
    body = {"after_current_hosts": True} if after_current_hosts else None
    show(connect(ctx).post(f"{PATH}/{segment(operation)}/cancel", body).body, output)


@app.command()
def pause(
    ctx: typer.Context,
    operation: Id,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks.")] = "",
    output: OutputOption = None,
) -> None:
    """Start no further hosts of an operation, until it is resumed."""
    show(connect(ctx).post(f"{PATH}/{segment(operation)}/pause", {"reason": reason}).body, output)


@app.command()
def resume(ctx: typer.Context, operation: Id, output: OutputOption = None) -> None:
    """Let a paused operation go on."""
    show(connect(ctx).post(f"{PATH}/{segment(operation)}/resume").body, output)


@app.command()
def retry(
    ctx: typer.Context,
    operation: Id,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show the progress until it ends; exit 2 unless it succeeds.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Do an operation again on those of its hosts that it did not bring to a good end."""
    either(watch, output)
    client = connect(ctx)
    again = client.post(f"{PATH}/{segment(operation)}/retry")
    if watch:
        from commissaire.commctl.watch import watch as follow

        follow(client, str(again.body["id"]))
    else:
        show(again.body, output)
