"""A group of commands that names them all when it is given one it does not have."""

import click


class Group(click.Group):
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            ctx.fail(f"no such command {name!r}; there are: {', '.join(self.list_commands(ctx))}")

        return super().resolve_command(ctx, args)
