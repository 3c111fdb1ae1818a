"""Mail servers as Debian ships them, on loopback: Postfix, Exim, and Dovecot for passwords.

Unpacked by `tests/fetch_receivers.sh`, never installed. They change to users of their own, which need root; that these
users exist is told to them alone, by nss_wrapper, which Debian ships for such tests.
"""

import os
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest

from harness.tools import libraries, receiver

USERS = {"postfix": 7101, "postdrop": 7102, "Debian-exim": 7103, "dovecot": 7104, "dovenull": 7105}
HOST = "127.0.0.1"
BOXES = ("maria", "li", "jörg", "whole", "helo", "ascii", "both", "in", "grey", "many")
"""At example.org."""
_SPOOL = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "saved", "trace", "private")
_POSTFIX = """
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass
class Programs:
    """A folder that other users may enter, and what the programs need to run in it."""

    folder: Path
    unpacked: Path
    variables: dict[str, str]

    def file(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def folder_of(self, name: str, user: str = "root", mode: int = 0o755) -> Path:
        path = self.folder / name
        path.mkdir(parents=True)
        path.chmod(mode)
        os.chown(path, USERS.get(user, 0), USERS.get(user, 0))
        return path

    @contextmanager
    def running(self, command: Sequence[str | Path], *ports: int) -> Iterator[None]:
        """The program and what it starts, once something listens on these ports."""
        output = self.folder / f"output-{ports[0]}"
        with output.open("wb") as log:
            process = subprocess.Popen(
                list(map(str, command)), cwd=self.folder, env={"PATH": os.environ["PATH"], **self.variables},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            for port in ports:
                self._wait(process, port)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)  # its own session: nobody else is in it
                except ProcessLookupError:
                    pass
                process.wait()

    def _wait(self, process: subprocess.Popen[bytes], port: int) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((HOST, port), 5).close()
            except OSError:
                assert time.monotonic() < end, f"nothing listens\n{self.said()}"
                assert process.poll() is None, f"it ended with {process.returncode}\n{self.said()}"
                time.sleep(0.05)  # nothing tells when a program listens
            else:
                return

    def said(self) -> str:
        """What the programs have to say, for a test that fails."""
        logs = sorted(
            path for path in self.folder.rglob("*") if path.name.endswith("log") or path.name.startswith("output")
        )
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-4000:]}" for path in logs if path.is_file()
        )


@contextmanager
def programs(certificate: Path) -> Iterator[Programs]:
    """A folder with the users and `certificate.pem`, certificate and key."""
    unpacked = Path(receiver("mail", "postconf")).parent.parent.parent
    if os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("mail servers change to users of their own, and CI=true does not skip: run the tests as root")
        pytest.skip("mail servers change to users of their own: needs root")
    [wrapper] = unpacked.glob("usr/lib/*/libnss_wrapper.so")
    paths = libraries(unpacked)["LD_LIBRARY_PATH"]
    more = [str(unpacked / "usr" / "lib" / name) for name in ("postfix", "dovecot", "dovecot/modules/old-stats")]
    with tempfile.TemporaryDirectory(prefix="mail-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        variables = {
            "LD_PRELOAD": str(wrapper), "LD_LIBRARY_PATH": os.pathsep.join([paths, *more]),
            "NSS_WRAPPER_PASSWD": str(folder / "passwd"), "NSS_WRAPPER_GROUP": str(folder / "group"),
        }  # fmt: skip
        made = Programs(folder, unpacked, variables)
        users = [f"{user}:x:{number}:{number}::/:/bin/false" for user, number in USERS.items()]
        groups = [f"{user}:x:{number}:" for user, number in USERS.items()]
        made.file("passwd", Path("/etc/passwd").read_text() + "\n".join(users) + "\n")
        made.file("group", Path("/etc/group").read_text() + "\n".join(groups) + "\n")
        made.file("certificate.pem", certificate.read_text(), 0o644)
        yield made


def free_ports(number: int) -> list[int]:
    sockets = [socket.create_server((HOST, 0)) for _ in range(number)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


# ---- Postfix


@dataclass
class Postfix:
    """Postfix for example.org. `policy` says who is refused, for how long."""

    mail: Path
    policy: "Policy"
    plain: int
    """Port without TLS and sign-in, strict about EHLO, which asks the policy."""
    ascii_only: int
    """The same, where SMTPUTF8 is switched off."""
    submission: int
    """Port with STARTTLS and sign-in only behind it."""
    smtps: int
    """Port with TLS from the start, and sign-in."""
    login_only: int
    """The same, by LOGIN alone."""
    clear: int
    """Port with sign-in and no TLS."""

    def mails(self, user: str) -> list[EmailMessage]:
        """What is in the mailbox of a user, oldest first."""
        files = sorted((self.mail / user).glob("new/*"), key=lambda path: path.stat().st_mtime_ns)
        return [cast(EmailMessage, message_from_bytes(path.read_bytes(), policy=policy.default)) for path in files]


@contextmanager
def postfix(made: Programs, sasl_port: int) -> Iterator[Postfix]:
    plain, ascii_only, submission, smtps, login_only, clear = ports = free_ports(6)
    mail = made.folder_of("mail", "postfix")
    made.folder_of("data", "postfix")
    made.folder_of("spool")
    for name in _SPOOL:
        made.folder_of(f"spool/{name}", "postfix", 0o700)
    made.folder_of("spool/public", "postfix", 0o755)
    made.folder_of("spool/maildrop", "postfix", 0o755)
    made.folder_of("spool/pid")
    sbin = made.unpacked / "usr" / "lib" / "postfix" / "sbin"
    with policy_server() as rules:
        services = [
            f"{HOST}:{plain} inet n - n - - smtpd",
            f"{HOST}:{ascii_only} inet n - n - - smtpd -o smtputf8_enable=no",
            f"{HOST}:{submission} inet n - n - - smtpd -o smtpd_tls_security_level=may -o smtpd_sasl_auth_enable=yes"
            " -o smtpd_tls_auth_only=yes -o smtpd_client_restrictions=permit_sasl_authenticated,reject",
            f"{HOST}:{smtps} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes",
            f"{HOST}:{login_only} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes"
            " -o smtpd_sasl_mechanism_filter=login",
            f"{HOST}:{clear} inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes",
        ]
        made.file("boxes", "".join(f"{user}@example.org {user}/\n" for user in BOXES))
        made.file("master.cf", "\n".join(services) + _POSTFIX)
        made.file("main.cf", f"""
compatibility_level = 3.6
queue_directory = {made.folder}/spool
command_directory = {made.unpacked}/usr/sbin
daemon_directory = {sbin}
shlib_directory = {made.unpacked}/usr/lib/postfix
data_directory = {made.folder}/data
meta_directory = {made.folder}
mail_owner = postfix
setgid_group = postdrop
import_environment = MAIL_CONFIG MAIL_LOGTAG POSTLOG_SERVICE POSTLOG_HOSTNAME {" ".join(made.variables)}
maillog_file = {made.folder}/postfix.log
maillog_file_prefixes = {made.folder}
inet_interfaces = {HOST}
inet_protocols = ipv4
myhostname = mail.example.test
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = texthash:{made.folder}/boxes
virtual_mailbox_base = {mail}
virtual_uid_maps = static:{USERS["postfix"]}
virtual_gid_maps = static:{USERS["postfix"]}
smtpd_helo_required = yes
smtpd_helo_restrictions = reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname
smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service inet:{HOST}:{rules.port}
smtpd_tls_chain_files = {made.folder}/certificate.pem
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:{HOST}:{sasl_port}
smtpd_client_connection_count_limit = 0
""")  # fmt: skip
        made.variables |= {"MAIL_CONFIG": str(made.folder), "MAIL_LOGTAG": "postfix"}
        with made.running([sbin / "master", "-d", "-c", made.folder], *ports):
            yield Postfix(mail, rules, *ports)


@dataclass
class Policy:
    """A policy service as postgrey is one (Postfix' SMTPD_POLICY_README): what it says about each recipient."""

    actions: dict[str, str] = field(default_factory=dict)
    port: int = 0


@contextmanager
def policy_server() -> Iterator[Policy]:
    rules = Policy()

    class Asked(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            about: dict[str, str] = {}
            for line in self.rfile:
                name, _, value = line.decode().strip().partition("=")
                if name:
                    about[name] = value
                else:
                    self.wfile.write(f"action={rules.actions.get(about['recipient'], 'DUNNO')}\n\n".encode())
                    about = {}

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server((HOST, 0), Asked) as server:
        rules.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield rules
        finally:
            server.shutdown()
            thread.join(10)


# ---- Dovecot


_DOVECOT = """
base_dir = {folder}/dovecot
libexec_dir = {unpacked}/usr/lib/dovecot
log_path = {folder}/dovecot.log
state_dir = {folder}/dovecot-state
ssl = no
auth_mechanisms = plain login cram-md5
protocols =
"""
_DOVECOT_2_3 = """
import_environment = TZ LD_LIBRARY_PATH
default_internal_user = mail
default_internal_group = mail
default_login_user = nobody
passdb {{
  driver = passwd-file
  args = {folder}/accounts
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home=/nonexistent
}}
service auth {{
  inet_listener {{
    address = {host}
    port = {port}
  }}
}}
"""
_DOVECOT_2_4 = """
import_environment {{
  LD_LIBRARY_PATH = {libraries}
}}
passdb passwd-file {{
  passwd_file_path = {folder}/accounts
}}
userdb static {{
  fields {{
    uid = mail
    gid = mail
    home = /nonexistent
  }}
}}
service auth {{
  inet_listener smtp {{
    listen = {host}
    port = {port}
  }}
}}
"""
_WITH_USERS = 'mount --bind passwd /etc/passwd && mount --bind group /etc/group && exec "$@"'


@contextmanager
def dovecot(made: Programs, accounts: dict[str, str]) -> Iterator[int]:
    """Dovecot's passwords, for a mail server to ask; gives the port.

    It clears its environment, so that nss_wrapper tells it nothing. Up to 2.3 it takes users that every Debian has; 2.4
    wants its own at its start, and sees them in a namespace of its own.
    """
    [port] = free_ports(1)
    made.file("accounts", "".join(f"{user}:{{PLAIN}}{password}\n" for user, password in accounts.items()))
    reader, program = made.unpacked / "usr" / "bin" / "doveconf", made.unpacked / "usr" / "sbin" / "dovecot"
    paths = {"LD_LIBRARY_PATH": made.variables["LD_LIBRARY_PATH"]}
    version = subprocess.run([program, "--version"], env=paths, capture_output=True, text=True, check=True).stdout
    new = version.startswith("2.4")
    about = {
        "folder": made.folder,
        "unpacked": made.unpacked,
        "host": HOST,
        "port": port,
        "libraries": paths["LD_LIBRARY_PATH"],
    }
    head = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n" if new else ""
    config = made.file("dovecot.conf", head + (_DOVECOT + (_DOVECOT_2_4 if new else _DOVECOT_2_3)).format(**about))
    # What `dovecot -F -c …` would do itself, if its settings' reader were where Debian installs it.
    command: list[str | Path]
    if new:
        command = ["unshare", "-m", "sh", "-c", _WITH_USERS, "sh", reader, "-c", config, "-C", "-F"]
    else:
        command = [reader, "-f", "service=master", "-c", config, "-m", "master", "-e"]
    with made.running([*command, program, "-F", "-c", config], port):
        yield port


# ---- Exim


@dataclass
class Exim:
    """Exim, which keeps what it takes in its queue. `port` has STARTTLS and sign-in."""

    spool: Path
    port: int

    def queued(self) -> list[str]:
        """Headers and bodies of what it has taken."""
        bodies = sorted(self.spool.glob("input/**/*-D"))
        return [
            path.with_name(path.name[:-1] + "H").read_text() + path.read_text().partition("\n")[2] for path in bodies
        ]


@contextmanager
def exim(
    made: Programs, username: str, password: str, mechanisms: Sequence[str] = ("PLAIN", "LOGIN")
) -> Iterator[Exim]:
    """Exim with Debian's own compiled-in settings."""
    [port] = free_ports(1)
    spool = made.folder_of("exim", "Debian-exim", 0o750)
    right = f"${{if and{{{{eq{{$auth%d}}{{{username}}}}}{{eq{{$auth%d}}{{{password}}}}}}}}}"
    authenticators = {
        "PLAIN": f"plain:\n driver = plaintext\n public_name = PLAIN\n server_prompts = :\n"
                 f" server_condition = {right % (2, 3)}\n server_set_id = $auth2\n",
        "LOGIN": f"login:\n driver = plaintext\n public_name = LOGIN\n server_prompts = Username:: : Password::\n"
                 f" server_condition = {right % (1, 2)}\n server_set_id = $auth1\n",
    }  # fmt: skip
    made.file("exim.conf", f"""
spool_directory = {spool}
log_file_path = {spool}/%slog
primary_hostname = mail.example.test
local_interfaces = {HOST}
daemon_smtp_ports = {port}
tls_advertise_hosts = *
tls_certificate = {made.folder}/certificate.pem
auth_advertise_hosts = ${{if def:tls_in_cipher{{*}}}}
keep_environment = {":".join(made.variables)}
smtputf8_advertise_hosts =
queue_only
acl_smtp_rcpt = recipients
acl_smtp_data = content
begin acl
recipients:
 defer local_parts = grey
 message = Greylisted
 accept
content:
 deny condition = ${{if > {{$max_received_linelength}}{{998}}}}
 message = maximum allowed line length is 998 octets, got $max_received_linelength
 deny !verify = header_syntax
 message = header syntax
 accept
begin authenticators
{"".join(authenticators[name] for name in mechanisms)}
""")  # fmt: skip
    os.chown(made.folder / "exim.conf", 0, 0)
    command = [made.unpacked / "usr" / "sbin" / "exim4", "-bdf", "-C", made.folder / "exim.conf"]
    with made.running(command, port):
        yield Exim(spool, port)
