#!/bin/bash
# restic 0.19.1 (Debian sid): `check --json` prints an object of message_type "error" for each try of its backend that
# it repeats, and one more for "operation successful after 2 retries". The check is good, and ends with 0.
#
# Expected: an "error" object is an error of the check. 0.18.0 prints these lines as plain text, `backup --json` of
# 0.19.1 does so too. Whoever counts the objects calls a healthy repository damaged.
# Exit code: 0 as seen, 1 where there are no such objects, 2 where the package could not be had.
set -eu
folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; fi; rm -rf "$folder"' EXIT
cd "$folder"

# restic as sid ships it, with lists of apt's own: nothing is installed, the machine's apt is left as it is
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v -e security -e snapshot | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror is known here: apt-get update"; exit 2; }
mkdir -p lists/partial cache/archives/partial
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > sources.list
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::Lists=$folder/lists"
     -o "Dir::Cache=$folder/cache" -o APT::Sandbox::User= -o Acquire::Languages=none)
"${apt[@]}" update && "${apt[@]}" download restic=0.19.1-1 || exit 2
dpkg-deb -x restic_*.deb unpacked
restic=$folder/unpacked/usr/bin/restic

# restic's REST backend over a folder; the first two reads of an index are answered with 500
cat > backend.py <<'PY'
import http.server, json, pathlib
root, failures = pathlib.Path("repository"), [500, 500]

class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, body=b"", kind="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def file(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        return root.joinpath(*([parts[0], parts[1][:2], parts[1]] if parts[0] == "data" and len(parts) > 1 else parts))

    def do_GET(self):
        file = self.file()
        if file.parent.name == "index" and failures:
            return self.reply(failures.pop())
        if file.is_dir():
            found = [{"name": f.name, "size": f.stat().st_size} for f in file.rglob("*") if f.is_file()]
            return self.reply(200, json.dumps(found).encode(), "application/vnd.x.restic.rest.v2")
        if not file.is_file():
            return self.reply(404)
        body, asked = file.read_bytes(), self.headers.get("Range")
        if asked is None:
            return self.reply(200, body)
        first, last = asked.removeprefix("bytes=").split("-")
        self.reply(206, body[int(first) : int(last) + 1 if last else None])

    do_HEAD = do_GET

    def do_POST(self):
        self.file().write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        self.reply(200)

    def do_DELETE(self):
        self.file().unlink(missing_ok=True)
        self.reply(200)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
pathlib.Path("port.new").write_text(str(server.server_port))
pathlib.Path("port.new").rename("port")
server.serve_forever()
PY
export RESTIC_PASSWORD=secret RESTIC_CACHE_DIR=$folder/cache/restic
mkdir source
echo "worth keeping" > source/letter.txt
"$restic" version
"$restic" -r repository init --quiet
"$restic" -r repository backup --quiet source
python3 backend.py &
server=$!
while [ ! -e port ]; do sleep 0.1; done

code=0
"$restic" -r "rest:http://127.0.0.1:$(cat port)/" check --json > out 2> err || code=$?
cat out err
echo "exit code $code"
[ "$code" = 0 ] || { echo "the check fails now"; exit 1; }
grep -q '"num_errors":0' out || { echo "the check counts errors now"; exit 1; }
grep -q '"message_type":"error","message":".*operation successful after 2 retries' err || { echo "no error object for it any more"; exit 1; }
