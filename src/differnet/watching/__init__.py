"""Inspecting the files of a folder, or the frames of a camera, as they come, each exactly once, across restarts."""

from differnet.watching.camera_watch import CameraWatch
from differnet.watching.current_model import CurrentModel
from differnet.watching.journal import Journal
from differnet.watching.outputs import OutputFile
from differnet.watching.photograph import Photograph, Stamp, is_image_name
from differnet.watching.recorder import Recorder
from differnet.watching.sender import Sender
from differnet.watching.triggers import make_trigger
from differnet.watching.watcher import FolderWatch

__all__ = [
    "CameraWatch",
    "CurrentModel",
    "FolderWatch",
    "Journal",
    "OutputFile",
    "Photograph",
    "Recorder",
    "Sender",
    "Stamp",
    "is_image_name",
    "make_trigger",
]
