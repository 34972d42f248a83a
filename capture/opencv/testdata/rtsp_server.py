"""An RTSP server for tests: a moving picture at rtsp://127.0.0.1:PORT/live.

Prints the port it was given once it listens. Reads lines from standard input:
its end ends the server, which so never outlives the test.
"""
import argparse
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--port", default="0")
parser.add_argument("--user", default="")
parser.add_argument("--password", default="")
parser.add_argument("--digest", action="store_true")
parser.add_argument("--fps", type=int, default=60)
parser.add_argument("--transport", choices=["tcp", "udp", "both"], default="both")
args = parser.parse_args()

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(args.port)

factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate={args.fps}/1"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=6 ! rtph264pay name=pay0 pt=96 )"
)
factory.set_shared(True)
transports = {
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "both": GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP,
}
factory.set_protocols(transports[args.transport])

if args.user:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if args.digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(args.user, args.password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(args.user, args.password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)

server.get_mount_points().add_factory("/live", factory)
if server.attach(None) == 0:
    sys.exit("cannot listen")

loop = GLib.MainLoop()


def wait_for_the_end():
    sys.stdin.read()
    GLib.idle_add(loop.quit)  # it may not run yet


threading.Thread(target=wait_for_the_end, daemon=True).start()
print(server.get_bound_port(), flush=True)
loop.run()
