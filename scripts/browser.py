"""Finds Chromium, and installs it where it is missing and that is possible.

    python3 scripts/browser.py           prints its path; exit code 1, with the reason, where there is none

The browser tests (tests/browser) drive the system's Chromium: Playwright's own download is never used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Where it is on systems that have no path for it.
_PLACES = ("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
_MINUTES = 10


def find_chromium() -> str | None:
    """The path of a Chromium or a Chrome; the one that RJOBS_CHROMIUM names wins."""
    named = os.environ.get("RJOBS_CHROMIUM")
    found = [named, *map(shutil.which, _NAMES), *_PLACES]
    return next((path for path in found if path and os.access(path, os.X_OK)), None)


def ensure_chromium() -> tuple[str | None, str]:
    """The path of Chromium, installed from the system's packages where it is missing; or None, and the reason."""
    path = find_chromium()
    if path is not None:
        return path, ""
    apt_get = shutil.which("apt-get")
    if apt_get is None:
        return None, "there is no Chromium, and no apt-get to install it with"
    if os.geteuid() != 0:
        return None, "there is no Chromium, and only root can install it: apt-get install chromium"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("update", "-qq"), ("install", "-y", "-qq", "--no-install-recommends", "chromium")):
        print(f"apt-get {' '.join(command)}", flush=True)
        try:
            run = subprocess.run(
                [apt_get, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60 * _MINUTES,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return None, f"apt-get {command[0]}: {error}"
        # An update that fails for one of several sources may be good enough.
        if run.returncode and command[0] == "install":
            return None, f"apt-get install chromium failed: {run.stdout.strip().splitlines()[-1:]}"
    path = find_chromium()
    return path, "" if path else "apt-get installed chromium, and there is none"


def main() -> int:
    """Print the path, or the reason why there is none."""
    path, reason = ensure_chromium()
    print(path or reason, file=sys.stdout if path else sys.stderr)
    return 0 if path else 1


if __name__ == "__main__":
    sys.exit(main())
