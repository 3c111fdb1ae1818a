"""Runs on the Python that Debian's cloud-init is for: judges user data, and lets the modules `write_files` and `runcmd`
do what they do on a new machine, but for the start of the script that the latter writes.

    python3 run_cloud_init.py USER_DATA CLOUD_DIR OWNER

Prints the script's path.
"""

import inspect
import logging
import os
import sys

from cloudinit import cloud, distros, helpers, util
from cloudinit.config import cc_runcmd, cc_write_files, schema
from cloudinit.sources.DataSourceNone import DataSourceNone


def main() -> None:
    file, cloud_dir, owner = sys.argv[1:]
    with open(file) as opened:
        text = opened.read()
    config = util.load_yaml(text)
    assert text.startswith("#cloud-config\n")
    schema.validate_cloudconfig_schema(config, schema.get_schema(), strict=True)
    paths = helpers.Paths({"cloud_dir": cloud_dir, "run_dir": os.path.join(cloud_dir, "run")})
    distro = distros.fetch("debian")("debian", {}, paths)
    distro.default_owner = owner  # who is not root cannot give files away
    source = DataSourceNone({}, distro, paths)
    paths.datasource = source
    machine = cloud.Cloud(source, paths, config, distro, None)
    for module, name in ((cc_write_files, "write_files"), (cc_runcmd, "runcmd")):
        given = {"name": name, "cfg": config, "cloud": machine, "log": logging.getLogger(), "args": []}
        module.handle(**{word: given[word] for word in inspect.signature(module.handle).parameters})
    print(os.path.join(machine.get_ipath("scripts"), "runcmd"))


main()
