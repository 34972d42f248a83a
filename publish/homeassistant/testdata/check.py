"""Lets Home Assistant discover the golden messages of this folder: see scripts/check-homeassistant.

    check.py HASS WORKDIR    HASS: the program; WORKDIR: an empty folder for its configuration
"""

import atexit
import json
import pathlib
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import paho.mqtt.client as paho

HASS, WORK = sys.argv[1], pathlib.Path(sys.argv[2])
HERE = pathlib.Path(__file__).parent
PAYLOADS = HERE.parent.parent / "testdata"
URL = "http://127.0.0.1:8123"
ROOT = "glimpsed/porch/"
DISCOVERY = "homeassistant/device/glimpsed_porch/config"
CAMERAS = ["front", "a-b_1"]
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")


class Broker:
    """mosquitto, and a client that keeps what others say."""

    def __init__(self):
        conf = WORK / "mosquitto.conf"
        conf.write_text("listener 1883 127.0.0.1\nallow_anonymous true\n")
        self.process = subprocess.Popen(["mosquitto", "-c", conf], stderr=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        self.heard = []
        self.news = threading.Condition()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="check")
        self.client.on_connect = lambda c, *_: c.subscribe([("homeassistant/status", 1), (ROOT + "cmd/+", 1)])
        self.client.on_message = self.hear
        until("mosquitto answers", self.connect)
        self.client.loop_start()

    def connect(self):
        try:
            self.client.connect("127.0.0.1")
            return True
        except OSError:
            return False

    def hear(self, _client, _data, message):
        with self.news:
            self.heard.append((message.topic, message.payload.decode(), message.retain))
            self.news.notify_all()

    def say(self, topic, payload, retain=True):
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def expect(self, what, topic, payload=None):
        """Waits for a message and takes it."""
        found = []

        def look():
            with self.news:
                for m in self.heard:
                    if m[0] == topic and (payload is None or json.loads(m[1]) == payload):
                        found.append(m)
                        self.heard.remove(m)
                        return True
            return False

        until(f"{what} on {topic}: {payload}", look, lambda: self.heard)
        return found[0]


def until(what, condition, got=lambda: "", seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds} s in vain for: {what}\n{got()}")
        time.sleep(0.2)


class HomeAssistant:
    """hass with an MQTT entry, and a user who may do everything."""

    def __init__(self):
        self.config = WORK / "config"
        storage = self.config / ".storage"
        storage.mkdir(parents=True)
        (self.config / "configuration.yaml").write_text(
            f"homeassistant:\n  internal_url: {URL}\n  external_url: {URL}\nhttp:\n  server_host: 127.0.0.1\napi:\n"
        )
        entry = {
            "entry_id": "mqtt", "domain": "mqtt", "title": "127.0.0.1", "source": "user", "unique_id": None, "version": 1,
            "data": {"broker": "127.0.0.1", "port": 1883}, "options": {},
        }
        (storage / "core.config_entries").write_text(
            json.dumps({"version": 1, "minor_version": 1, "key": "core.config_entries", "data": {"entries": [entry]}})
        )
        self.token = None
        self.start()
        code = self.ask("/api/onboarding/users", {
            "name": "check", "username": "check", "password": "check", "client_id": URL + "/", "language": "en"})["auth_code"]
        form = f"grant_type=authorization_code&code={code}&client_id={URL}/".encode()
        with urllib.request.urlopen(URL + "/auth/token", form) as r:
            self.token = json.load(r)["access_token"]

    def start(self):
        self.output = (WORK / "hass.out").open("a")
        self.process = subprocess.Popen(
            [HASS, "--config", self.config, "--skip-pip", "--log-file", WORK / "hass.log"], stdout=self.output, stderr=self.output)
        atexit.register(self.process.kill)
        until("Home Assistant answers", self.answers, lambda: (WORK / "hass.out").read_text()[-4000:], 300)

    def stop(self):
        self.process.terminate()
        self.process.wait(120)
        self.output.close()

    def answers(self):
        try:
            self.ask("/manifest.json")
            return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def ask(self, path, body=None, raw=False):
        request = urllib.request.Request(URL + path)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if self.token:
            request.add_header("Authorization", "Bearer " + self.token)
        with urllib.request.urlopen(request, timeout=30) as r:
            answer = r.read()
            return (answer, r.headers["Content-Type"]) if raw else json.loads(answer)

    def states(self):
        return {s["entity_id"]: s for s in self.ask("/api/states")}

    def expect(self, what, wanted):
        """Waits until entities have these states; None: they don't exist."""

        def differing():
            now = self.states()
            got = {e: now[e]["state"] if e in now else None for e in wanted}
            return {e: (got[e], s) for e, s in wanted.items() if got[e] != s}

        until(what, lambda: not differing(), lambda: f"got, wanted: {differing()}")
        print(f"ok: {what} ({len(wanted)})", flush=True)

    def call(self, domain, service, **data):
        self.ask(f"/api/services/{domain}/{service}", data)

    def template(self, text):
        return json.loads(self.ask("/api/template", {"template": "{{ (" + text + ") | to_json }}"}, raw=True)[0])

    def complaints(self):
        """Whatever the log has of MQTT and templates."""
        lines = (WORK / "hass.log").read_text().splitlines()
        return [x for x in lines if (" WARNING " in x or " ERROR " in x) and ("mqtt" in x.lower() or "template" in x)]


def check(what, got, want):
    if got != want:
        raise SystemExit(f"{what}: got {got}, want {want}")
    print(f"ok: {what}", flush=True)


def golden(name, camera="front"):
    """An example of the documentation, as if of that camera."""
    m = json.loads((PAYLOADS / name).read_text())
    if "camera" in m:
        m["camera"] = camera
    return m


def publish_states(broker):
    stats = golden("stats.json")
    stats["cameras"] = {c: stats["cameras"]["front"] for c in CAMERAS}
    stats |= {"temperature_c": 54.2, "throttled": True}
    broker.say(ROOT + "status", "online")
    broker.say(ROOT + "stats", json.dumps(stats))
    broker.say(ROOT + "diagnostics", (PAYLOADS / "diagnostics.json").read_text())
    for c in CAMERAS:
        broker.say(f"{ROOT}{c}/status", "online")
        broker.say(f"{ROOT}{c}/diagnostics", json.dumps(golden("camera-diagnostics.json", c)))
        for kind in ["state", "settings", "health"]:
            broker.say(f"{ROOT}{c}/{kind}", json.dumps(golden(kind + ".json", c)))
        broker.say(f"{ROOT}{c}/image", JPEG)


def of_camera(camera, states):
    """Entity ids have _ where names have -."""
    return {f"{platform}.porch_{camera.replace('-', '_')}_{name}": s for (platform, name), s in states.items()}


SIGHTS = {("sensor", "label"): "cat", ("sensor", "score"): "83.46", ("sensor", "health"): "covered"}
NUMBERS = {("sensor", "fps"): "4.99", ("sensor", "invoke"): "20.12"}
CONTROLS = {("switch", "enabled"): "on", ("number", "threshold"): "0.5", ("select", "model"): "resnet18"}
DEVICE = {
    "binary_sensor.porch_problems": "on", "binary_sensor.porch_throttled": "on",
    "sensor.porch_memory": "117.7", "sensor.porch_temperature": "54.2",
}


def main():
    broker = Broker()
    hass = HomeAssistant()
    try:
        run(broker, hass)
        check("nothing to complain about in the log", hass.complaints(), [])
    finally:
        hass.stop()
        broker.client.loop_stop()
        broker.process.terminate()
        broker.process.wait(10)


def run(broker, hass):
    full = (HERE / "full.json").read_text()
    birth(broker)
    publish_states(broker)
    broker.say(DISCOVERY, full)

    # States and attributes.
    for c in CAMERAS:
        hass.expect(f"camera {c}", of_camera(c, SIGHTS | NUMBERS | CONTROLS | {("sensor", "status"): "online"}))
    hass.expect("device", DEVICE)
    now = hass.states()
    ours = {e: s for e, s in now.items() if s["attributes"].get("friendly_name", "").startswith("porch ")}
    wanted = {c["def_ent_id"] for c in json.loads(full)["cmps"].values()}
    check("every entity, under the id that was proposed", set(ours) - wanted | wanted - set(ours), set())
    label = now["sensor.porch_front_label"]["attributes"]
    check("attributes of label", (label["score"], label["since"]), (0.8346, "2025-03-30T12:05:06.123Z"))
    check("attributes of status", now["sensor.porch_front_status"]["attributes"]["reason"], golden("camera-diagnostics.json")["reason"])
    check("attributes of problems", now["binary_sensor.porch_problems"]["attributes"]["problems"],
          [p["what"] for p in golden("diagnostics.json")["problems"]])
    check("options of status", now["sensor.porch_front_status"]["attributes"]["options"], ["online", "offline", "stalled", "paused"])
    image = now["image.porch_front_image"]["attributes"]["entity_picture"]
    check("picture", hass.ask(image, raw=True), (JPEG, "image/jpeg"))
    device = hass.template("device_id('sensor.porch_front_label')")
    check("all belong to the device", set(hass.template(f"device_entities('{device}')")), wanted)
    check("the device", [hass.template(f"device_attr('{device}', '{a}')") for a in ["name", "manufacturer", "model", "sw_version", "configuration_url"]],
          ["porch", "glimpsed", "Raspberry Pi 5", "1.2.3", "http://192.0.2.3:8080/"])

    # Events.
    hass.expect("no event yet", {"event.porch_front_event": "unknown"})
    broker.say(ROOT + "front/event", json.dumps(golden("event.json")), retain=False)
    until("an event", lambda: hass.states()["event.porch_front_event"]["state"] != "unknown")
    event = hass.states()["event.porch_front_event"]["attributes"]
    check("the event", [event[k] for k in ["event_type", "id", "label", "best_score", "duration_s", "clock_synced"]],
          ["end", "01HZX3V8Q4-front-7", "cat", 0.97, 12.346, True])

    # Commands.
    for c in CAMERAS:
        e = "porch_" + c.replace("-", "_")
        hass.call("switch", "turn_off", entity_id=f"switch.{e}_enabled")
        broker.expect("turned off", ROOT + "cmd/set", {"camera": c, "enabled": False})
        hass.call("switch", "turn_on", entity_id=f"switch.{e}_enabled")
        broker.expect("turned on", ROOT + "cmd/set", {"camera": c, "enabled": True})
        for value in [0, 0.07, 0.35, 1]:
            hass.call("number", "set_value", entity_id=f"number.{e}_threshold", value=value)
            broker.expect("threshold", ROOT + "cmd/set", {"camera": c, "enter": value})
        hass.call("select", "select_option", entity_id=f"select.{e}_model", option="mobilenet_v2")
        broker.expect("model", ROOT + "cmd/model", {"camera": c, "model": "mobilenet_v2"})
        hass.call("button", "press", entity_id=f"button.{e}_snapshot")
        broker.expect("snapshot", ROOT + "cmd/snapshot", {"camera": c})
    hass.call("button", "press", entity_id="button.porch_restart")
    check("commands are not retained", broker.expect("restart", ROOT + "cmd/restart", {})[2], False)
    hass.expect("a command changes nothing before the daemon says so", of_camera("front", CONTROLS))
    broker.say(ROOT + "front/settings", json.dumps(golden("settings.json") | {"enabled": False, "enter": 0.35, "model": "mobilenet_v2"}))
    changed = {("switch", "enabled"): "off", ("number", "threshold"): "0.35", ("select", "model"): "mobilenet_v2"}
    hass.expect("settings", of_camera("front", changed))

    # Availability.
    gone = {k: "unavailable" for k in SIGHTS}
    for state in ["stalled", "paused", "online", "paused"]:
        broker.say(ROOT + "front/status", state)
        sights = SIGHTS if state == "online" else gone
        hass.expect("camera " + state, of_camera("front", sights | NUMBERS | changed | {("sensor", "status"): state}))
    broker.say(ROOT + "front/status", "offline")
    everything = {k: "unavailable" for k in SIGHTS | NUMBERS | CONTROLS | {("event", "event"): 0, ("image", "image"): 0, ("button", "snapshot"): 0}}
    hass.expect("camera offline", of_camera("front", everything | {("sensor", "status"): "offline"}))
    hass.expect("the other one doesn't mind", of_camera("a-b_1", SIGHTS | NUMBERS | CONTROLS) | DEVICE)
    broker.say(ROOT + "status", "offline")
    hass.expect("device offline", of_camera("front", everything | {("sensor", "status"): "unavailable"})
                | of_camera("a-b_1", everything) | {e: "unavailable" for e in DEVICE})
    broker.say(ROOT + "status", "online")
    broker.say(ROOT + "front/status", "online")
    hass.expect("all online again", of_camera("front", SIGHTS | NUMBERS | changed) | of_camera("a-b_1", SIGHTS) | DEVICE)

    # A camera that has no result yet, and a label that is not sure.
    stats = golden("stats.json")
    stats["cameras"] = {"front": stats["cameras"]["back"]}
    broker.say(ROOT + "stats", json.dumps(stats | {"temperature_c": None}))
    hass.expect("stats without numbers", {"sensor.porch_front_invoke": "unknown", "sensor.porch_a_b_1_fps": "unknown", "sensor.porch_front_fps": "0",
                                          "sensor.porch_temperature": "unknown", "binary_sensor.porch_throttled": "off"})
    broker.say(ROOT + "diagnostics", (PAYLOADS / "diagnostics-well.json").read_text())
    broker.say(ROOT + "front/state", json.dumps(golden("state.json") | {"label": "unknown", "score": 0}))
    hass.expect("nothing wrong, nothing seen", {"binary_sensor.porch_problems": "off", "sensor.porch_front_label": "unknown", "sensor.porch_front_score": "0.0"})

    # A restart of Home Assistant, which keeps what it knew.
    hass.stop()
    hass.start()
    birth(broker)
    hass.expect("after a restart", of_camera("front", changed) | of_camera("a-b_1", SIGHTS) | {"binary_sensor.porch_problems": "off"})
    broker.say(DISCOVERY, full)

    # Removal: the rest stays as it is.
    minimal = (HERE / "minimal.json").read_text()
    kept = {c["def_ent_id"] for c in json.loads(minimal)["cmps"].values()}
    announce(broker, minimal)
    hass.expect("removed entities are gone", {e: None for e in wanted - kept})
    check("the others are still there", set(hass.template(f"device_entities('{device}')")), kept)
    hass.expect("with their states", of_camera("front", {("sensor", "label"): "unknown", ("sensor", "status"): "online"}))

    # Entities that went while Home Assistant was away.
    broker.say(DISCOVERY, full)
    hass.expect("everything is back", of_camera("a-b_1", SIGHTS))
    hass.stop()
    broker.say(DISCOVERY, minimal)
    hass.start()
    birth(broker)
    hass.expect("ghosts", {e: "unavailable" for e in wanted - kept})
    announce(broker, minimal)
    hass.expect("ghosts are gone", {e: None for e in wanted - kept})
    check("the others are still there", set(hass.template(f"device_entities('{device}')")), kept)

    broker.say(DISCOVERY, "")
    hass.expect("an empty message removes the device", {e: None for e in kept})


def birth(broker):
    """Waits until Home Assistant says that it is there."""
    while broker.expect("the birth", "homeassistant/status")[1] != "online":
        pass


def announce(broker, minimal):
    """Changes from full.json to minimal.json as Announce does it."""
    for step in ["revived.json", "removed.json"]:
        broker.say(DISCOVERY, (HERE / step).read_text(), retain=False)
        time.sleep(1)
    broker.say(DISCOVERY, minimal)


main()
