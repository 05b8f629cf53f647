"""``differnet keys``: who may use the service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from differnet.cli.commands.serve import DatabaseOption
from differnet.cli.common import with_quiet
from differnet.cli.console import print_json, say
from differnet.cli.options import JsonOption
from differnet.installing import install_extra

if TYPE_CHECKING:
    from differnet.server.storage.keyring import KeyRing

__all__ = ["app"]

app = typer.Typer(help="Make, list and revoke the keys of the service.", no_args_is_help=True)

DataOption = Annotated[
    Path, typer.Option(envvar="DIFFERNET_DATA", show_envvar=True, help="Data folder of the service.")
]
_DATA = Path("differnet-data")


@app.command("create")
@with_quiet
def create(
    role: Annotated[str, typer.Option(help="inspect, review or admin; each may do what those before it may.")],
    name: Annotated[str, typer.Option(help="What the key is for, to tell it in the list.")] = "",
    data: DataOption = _DATA,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it; it cannot be shown again."""
    key, secret = _open(data, database_url).create(name, role)
    if as_json:
        print_json({"id": key.id, "role": key.role, "name": key.name, "key": secret})
    else:
        sys.stdout.write(f"{secret}\n")
    say(f"key {key.id} with the role '{key.role}': keep it now, only its hash is stored.")


@app.command("list")
@with_quiet
def list_keys(data: DataOption = _DATA, database_url: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List all keys, without their secrets."""
    rows = [
        {
            "id": key.id,
            "role": key.role,
            "name": key.name,
            "created": key.created.isoformat(timespec="seconds"),
            "revoked_at": None if key.revoked_at is None else key.revoked_at.isoformat(timespec="seconds"),
        }
        for key in _open(data, database_url).all()
    ]
    if as_json:
        print_json({"keys": rows})
        return
    for row in rows:
        state = f"revoked {row['revoked_at']}" if row["revoked_at"] else "in force"
        sys.stdout.write(f"{row['id']}\t{row['role']}\t{row['created']}\t{state}\t{row['name']}\n")


@app.command("revoke")
@with_quiet
def revoke(
    key: Annotated[str, typer.Argument(help="Id of the key, as 'list' shows it.")],
    data: DataOption = _DATA,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a key out of force; a running service refuses it within two seconds."""
    _open(data, database_url).revoke(key)
    if as_json:
        print_json({"id": key, "revoked": True})
    say(f"key {key} is revoked.")


def _open(data: Path, database_url: str | None) -> KeyRing:
    from differnet.errors import MissingExtraError  # noqa: PLC0415

    try:
        from differnet.server.storage.database import Database  # noqa: PLC0415
        from differnet.server.storage.keyring import KeyRing  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"Keys need '{error.name}'; run: {install_extra('server')}") from None
    return KeyRing(Database(database_url) if database_url else Database.in_folder(data))
