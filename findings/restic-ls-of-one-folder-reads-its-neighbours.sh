#!/bin/bash
# restic 0.19.1 (Debian sid; 0.14.0 and 0.18.0 likewise): `ls SNAPSHOT /folder`, without --recursive, reads the lists of
# all folders beside the ones on the way to it as well, and shows nothing of them.
#
# Expected: it reads the lists of the folders on the way and that of the folder. `ls SNAPSHOT /` does so, and stops there.
# Seen: a folder with one file beside one with 50,000 costs 330,000 bytes of packs, as many as the large one itself. Who
# shows folders one by one waits at each small one for its large neighbours: 4 s in 0.18.0, 0.7 s in 0.19.1 beside 200,000.
# Exit code: 0 as seen, 1 where the neighbour is not read, 2 where the package could not be had.
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

# restic's REST backend over a folder, which writes down how many bytes of packs it was asked for
cat > backend.py <<'PY'
import http.server, json, pathlib
root = pathlib.Path("repository")

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
        if file.is_dir():
            found = [{"name": f.name, "size": f.stat().st_size} for f in file.rglob("*") if f.is_file()]
            return self.reply(200, json.dumps(found).encode(), "application/vnd.x.restic.rest.v2")
        if not file.is_file():
            return self.reply(404)
        body, asked = file.read_bytes(), self.headers.get("Range")
        status = 200
        if asked is not None:
            first, last = asked.removeprefix("bytes=").split("-")
            body, status = body[int(first) : int(last) + 1 if last else None], 206
        if self.path.startswith("/data/") and self.command == "GET":
            with open("read", "a") as read:
                read.write(f"{len(body)}\n")
        self.reply(status, body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
pathlib.Path("port.new").write_text(str(server.server_port))
pathlib.Path("port.new").rename("port")
server.serve_forever()
PY
export RESTIC_PASSWORD=secret
mkdir -p source/small source/large
echo "worth keeping" > source/small/letter.txt
(cd source/large && seq -f 'IMG_%08g.jpg' 50000 | xargs touch)
"$restic" version
"$restic" -r repository init --quiet --no-cache
"$restic" -r repository backup --quiet --no-cache "$folder/source"
python3 backend.py &
server=$!
while [ ! -e port ]; do sleep 0.1; done

bytes_for() {
    : > read
    "$restic" -r "rest:http://127.0.0.1:$(cat port)/" ls --no-cache --no-lock latest "$1" > out
    awk '{ sum += $1 } END { print sum + 0 }' read
}
root=$(bytes_for /)
small=$(bytes_for "$folder/source/small")
cat out
large=$(bytes_for "$folder/source/large")
echo "bytes of packs: for / $root, for the small folder $small, for the large one $large"
[ "$large" -gt 100000 ] || { echo "the large folder is not large"; exit 1; }
[ "$root" -lt 10000 ] || { echo "the root alone costs much, too"; exit 1; }
[ "$small" -gt 100000 ] || { echo "the neighbour is not read any more"; exit 1; }
