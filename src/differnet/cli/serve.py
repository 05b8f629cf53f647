"""``differnet serve``: the inspection station, an HTTP service with a web page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import DeviceOption, WeightsOption, say

__all__ = ["DatabaseOption", "serve"]

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        envvar="DIFFERNET_DATABASE_URL",
        show_envvar=True,
        help="postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE; by default SQLite in the data folder.",
    ),
]


def serve(
    models: Annotated[Path, typer.Argument(help="Folder of model files; each is served under its name.")],
    port: Annotated[int, typer.Option(help="Port to listen on, 0 for a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on; beyond 127.0.0.1, keys are needed.")] = "127.0.0.1",
    data: Annotated[Path, typer.Option(help="Folder for images, heat maps and the SQLite database.")] = Path(
        "differnet-data"
    ),
    database_url: DatabaseOption = None,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
) -> None:
    """Serve models over HTTP, with a web page to inspect, review and recalibrate."""
    from differnet.errors import MissingExtraError, SettingsError  # noqa: PLC0415

    try:
        from differnet.server.access import is_loopback  # noqa: PLC0415
        from differnet.server.database import Database  # noqa: PLC0415
        from differnet.server.keyring import KeyRing  # noqa: PLC0415
        from differnet.server.logs import set_up_logs  # noqa: PLC0415
        from differnet.server.serving import serve as run  # noqa: PLC0415
        from differnet.server.station import Station  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"The service needs '{error.name}'; run: pip install 'differnet[server]'") from None

    set_up_logs()
    database = Database(database_url) if database_url else Database.in_folder(data)
    beyond = not is_loopback(host)
    if beyond and not KeyRing(database).valid():
        where = f" --database-url {database.name}" if database_url else f" --data {data}"
        raise SettingsError(
            f"Listening on {host} lets others in, and there is no key yet; run: "
            f"differnet keys create --role admin{where}"
        )
    station = Station(models, data, database, keys_required=beyond, device=device, weights=weights)
    run(station, host, port)
    say("stopped.")
