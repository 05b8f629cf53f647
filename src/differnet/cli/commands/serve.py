"""``differnet serve``: the inspection station, an HTTP service with a web page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import print_json, print_line
from differnet.cli.garbage import collect_as_usual
from differnet.cli.options import DeviceOption, JsonOption, WeightsOption
from differnet.installing import install_extra

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
    port: Annotated[
        int, typer.Option(envvar="DIFFERNET_PORT", show_envvar=True, help="Port to listen on, 0 for a free one.")
    ] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on; beyond 127.0.0.1, keys are needed.")] = "127.0.0.1",
    data: Annotated[
        Path,
        typer.Option(
            envvar="DIFFERNET_DATA", show_envvar=True, help="Folder for images, heat maps and the SQLite database."
        ),
    ] = Path("differnet-data"),
    database_url: DatabaseOption = None,
    keep_days: Annotated[
        float | None, typer.Option(help="Remove images after so many days; their verdicts stay.")
    ] = None,
    keep_gigabytes: Annotated[
        float | None, typer.Option(help="Remove images, the oldest first, beyond so much; their verdicts stay.")
    ] = 50.0,
    max_waiting: Annotated[int, typer.Option(min=1, help="Images that may wait; more are answered with 503.")] = 256,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Largest image file, in MiB.")] = 64,
    max_pixels: Annotated[int, typer.Option(min=256, help="Largest image, in pixels.")] = 50_000_000,
    time_limit: Annotated[float, typer.Option(min=0.1, help="Seconds after which a request is given up.")] = 30.0,
    public_name: Annotated[
        list[str] | None, typer.Option(help="Host name by which a proxy makes the service known; may be given again.")
    ] = None,
    forwarded_allow_ips: Annotated[
        str | None, typer.Option(help="Proxies whose X-Forwarded-For is believed: addresses or networks, by commas.")
    ] = None,
    trusted_keys: Annotated[
        list[Path] | None,
        typer.Option(
            help="Serve only models that one of these public keys has signed, see 'sign'; may be given again."
        ),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain in PEM, to speak HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key in PEM.")] = None,
    training_cores: Annotated[
        int | None,
        typer.Option(
            min=1, help="Cores that a training on the page may use, at low priority; by default half of them."
        ),
    ] = None,
    camera: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=SOURCE: a camera that the page may take good pictures from, as for 'watch'; may be given again."
        ),
    ] = None,
    folder: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FOLDER: a folder that the page may take good pictures from; may be given again."),
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="Send verdicts on: mqtt://, mqtts://, opc.tcp://, http:// or https://; MODEL=ADDRESS for those of one "
            "model. May be given again."
        ),
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve models over HTTP, with a web page to train, inspect, review and recalibrate."""
    from differnet.errors import MissingExtraError, SettingsError  # noqa: PLC0415

    try:
        from differnet.cli.commands.serve_receivers import open_receivers  # noqa: PLC0415
        from differnet.cli.commands.watch_source import with_password  # noqa: PLC0415
        from differnet.compute.threads import count_cores  # noqa: PLC0415
        from differnet.model_file.signing import TrustedKeys  # noqa: PLC0415
        from differnet.server.collecting.sources import Sources  # noqa: PLC0415
        from differnet.server.incoming.site import is_loopback  # noqa: PLC0415
        from differnet.server.limits import Limits  # noqa: PLC0415
        from differnet.server.logs import set_up_logs, stderr_as_json  # noqa: PLC0415
        from differnet.server.serving import serve as run  # noqa: PLC0415
        from differnet.server.station import Station  # noqa: PLC0415
        from differnet.server.storage.database import Database  # noqa: PLC0415
        from differnet.server.storage.folder_lock import only_service  # noqa: PLC0415
        from differnet.server.storage.keyring import KeyRing  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"The service needs '{error.name}'; run: {install_extra('server')}") from None

    if log_level not in ("debug", "info", "warning", "error"):
        raise typer.BadParameter(f"'{log_level}' is none of debug, info, warning, error.", param_hint="--log-level")
    if (tls_cert is None) != (tls_key is None):
        raise typer.BadParameter("--tls-cert and --tls-key belong together; give both.", param_hint="--tls-cert")
    sources = Sources.named(camera or (), folder or (), with_password)
    certificate = None if tls_cert is None or tls_key is None else (tls_cert, tls_key)
    set_up_logs(log_level)
    collect_as_usual()
    database = Database(database_url) if database_url else Database.in_folder(data)
    beyond = not is_loopback(host)
    if beyond and not KeyRing(database).valid():
        where = " with the same --database-url" if database_url else f" --data {data}"
        raise SettingsError(
            f"Listening on {host} lets others in, and there is no key yet; run: "
            f"differnet keys create --role admin{where}"
        )
    limits = Limits(
        image_bytes=max_megabytes << 20,
        request_bytes=max(Limits.request_bytes, 2 * max_megabytes << 20),
        received_bytes=max(Limits.received_bytes, 4 * max_megabytes << 20),
        pixels=max_pixels,
        waiting=max_waiting,
        seconds=time_limit,
    )
    proxies = [proxy.strip() for proxy in (forwarded_allow_ips or "").split(",") if proxy.strip()]

    def announce(address: str) -> None:  # on stdout: the log on stderr is JSON
        if as_json:
            print_json({"address": address, "models": str(models), "data": str(data), "keys_required": beyond})
        else:
            print_line(address)
        sys.stdout.flush()

    with open_receivers(to or ()) as receivers:
        station = Station(
            models,
            data,
            database,
            limits=limits,
            keys_required=beyond,
            device=device,
            weights=weights,
            keep_days=keep_days,
            keep_bytes=None if keep_gigabytes is None else round(keep_gigabytes * 1e9),
            public_names=public_name or (),
            trusted=TrustedKeys(trusted_keys) if trusted_keys else None,
            training_cores=training_cores or max(1, count_cores() // 2),
            sources=sources,
            receivers=receivers,
        )
        with stderr_as_json(), only_service(data):
            run(
                station,
                host,
                port,
                trusted_proxies=proxies,
                certificate=certificate,
                announce=announce,
            )
