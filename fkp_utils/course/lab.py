"""JupyterLab, set up for the course: photos of up to 200 MB reach the kernel, and saved notebooks keep their pictures.

    python -m fkp_utils.course.lab [JupyterLab's own options]

`make lab` calls it. A widget lives in its kernel: in a notebook that was saved and opened again JupyterLab would prefer
the dead widget ("model not found") to the picture that stands beside it. So widgets are left out of what is saved.
"""

import sys

from jupyterlab.labapp import LabApp

from ..folders import NOTEBOOKS

WIDGET = "application/vnd.jupyter.widget-view+json"
LARGEST_UPLOAD = 200 * 2**20             # bytes; tornado's default, 10 MiB, is less than a phone's photo in PNG


def without_widgets(model: dict, **kwargs) -> None:
    """A pre_save_hook of Jupyter's ContentsManager: outputs that have a picture, too, lose their widget, in place."""
    if model["type"] != "notebook":
        return
    for cell in model["content"]["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}) or "image/jpeg" in output.get("data", {}):
                output["data"].pop(WIDGET, None)


def main() -> None:
    """Start JupyterLab."""
    settings = [f"--ContentsManager.pre_save_hook=fkp_utils.course.lab.{without_widgets.__name__}",
                f"--ServerApp.root_dir={NOTEBOOKS}",
                f"--ServerApp.tornado_settings={{'websocket_max_message_size': {LARGEST_UPLOAD}}}"]
    LabApp.launch_instance([*settings, *sys.argv[1:]])


if __name__ == "__main__":
    main()
