"""`journeyman completion`: the script by which a shell completes our commands."""

import click

SHELLS = ("bash", "zsh", "fish")
EPILOG = """\b
Try:
  bash   echo 'eval "$(journeyman completion bash)"' >> ~/.bashrc
  zsh    echo 'eval "$(journeyman completion zsh)"' >> ~/.zshrc
  fish   journeyman completion fish > ~/.config/fish/completions/journeyman.fish"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for your shell; it takes effect in the next one you open."""
    from click.shell_completion import get_completion_class

    make = get_completion_class(shell)
    if make is None:
        ctx.fail(f"this version of click completes nothing for {shell}")

    click.echo(make(ctx.find_root().command, {}, "journeyman", "_JOURNEYMAN_COMPLETE").source())
