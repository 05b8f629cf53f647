"""``differnet sign``: model files get a signature, by which a service accepts them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import print_json, say
from differnet.cli.options import JsonOption

__all__ = ["sign"]


def sign(
    models: Annotated[
        list[Path] | None, typer.Argument(help="Model files; each is written anew, with a signature.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Private key to sign with.")] = None,
    new_key: Annotated[
        Path | None, typer.Option(help="Make a private key, and beside it the public one, FILE.pub.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Sign models, so that 'differnet serve --trusted-keys' accepts these alone."""
    from differnet.model_file.bundle import sign_bundle  # noqa: PLC0415
    from differnet.model_file.signing import SigningKey, make_key  # noqa: PLC0415

    if new_key is None and not models:
        raise typer.BadParameter("give model files to sign, or --new-key to make a key.", param_hint="MODELS")
    document: dict[str, object] = {}
    if new_key is not None:
        private, public = make_key(new_key)
        document |= {"private_key": str(private), "public_key": str(public)}
        say(f"{private}: keep it secret. {public}: give it to 'differnet serve --trusted-keys'.")
    chosen = key or new_key
    if models:
        if chosen is None:
            raise typer.BadParameter("is needed to sign.", param_hint="--key")
        signer = SigningKey(chosen)
        for model in models:
            sign_bundle(model, signer)
            say(f"{model}: signed with key {signer.id}.")
        document |= {"key": signer.id, "signed": [str(model) for model in models]}
    if as_json:
        print_json(document)
