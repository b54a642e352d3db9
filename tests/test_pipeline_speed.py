"""What would slow a build down is left out, and the bibliography reads as before."""

import gc

from pybtex.plugin import find_plugin

from genlab.pipeline.site import speed


def test_nothing_is_collected_and_the_plugin_is_the_same(request):
    request.addfinalizer(gc.enable)
    before = find_plugin("pybtex.backends", "plaintext")
    speed.setup(None)
    assert not gc.isenabled()
    assert find_plugin("pybtex.backends", "plaintext") is before
    assert find_plugin("pybtex.backends", "html") is not before
