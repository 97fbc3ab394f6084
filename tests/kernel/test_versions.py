"""The kernels that tests run with are the ones they say."""

from __future__ import annotations

import importlib.metadata

KERNELS = ("installed", "oldest")


def test_a_kernel_has_the_packages_that_are_meant(kernel, request):
    found = kernel("import ipykernel, IPython\nprint(ipykernel.__version__, IPython.__version__)").text.split()
    if request.node.callspec.params["loaded"] == "oldest":
        assert found == ["6.29.5", "8.20.0"]
    else:
        assert found == [importlib.metadata.version(name) for name in ("ipykernel", "ipython")]
