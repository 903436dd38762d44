#!/usr/bin/env python3
"""Runs the file system of the image as a kubelet would, without a container engine.

    python3 deploy/checks/rehearse.py BINARY MANIFESTS...

For each file of rendered manifests: the image is laid out (deploy/image/lay-out), ConfigMaps and Secrets are mounted as
the StatefulSet says, with the links that a kubelet makes, and the container's command runs as its user, without
capabilities, with a read-only root, in a network of its own. Then the probes are asked, a ConfigMap is changed, and SIGTERM is
sent. Needs root and PyYAML, and ends with 77 where they are missing.
"""

import base64
import http.client
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

try:
    import yaml
except ImportError:
    print("PyYAML is missing")
    sys.exit(77)

HERE = pathlib.Path(__file__).resolve().parent
USER = 10001
PATIENCE = 30


def run(*words, **options):
    subprocess.run([str(word) for word in words], check=True, **options)


def expect(holds, message):
    if not holds:
        raise SystemExit(f"FAILED: {message}")


class Pod:
    """What a set of manifests asks for."""

    def __init__(self, path):
        documents = [one for one in yaml.safe_load_all(path.read_text()) if one]
        self.named = {(one["kind"], one["metadata"]["name"]): one for one in documents}
        stateful_set = next(one for one in documents if one["kind"] == "StatefulSet")
        self.spec = stateful_set["spec"]["template"]["spec"]
        self.container = self.spec["containers"][0]
        self.name = stateful_set["metadata"]["name"] + "-0"
        self.port = self.container["ports"][0]["containerPort"]

    def environment(self):
        found = {}
        for one in self.container["env"]:
            value = one.get("value")
            if value is None:
                field = one["valueFrom"]["fieldRef"]["fieldPath"]
                value = {"metadata.name": self.name, "metadata.namespace": "rehearsal"}[field]
            for name, known in found.items():
                value = value.replace(f"$({name})", known)
            found[one["name"]] = value
        return found

    def contents(self, volume):
        """The files of a volume by their path in it, or None for a folder to write to."""
        kind, source = next((kind, volume[kind]) for kind in ("configMap", "secret", "emptyDir") if kind in volume)
        if kind == "emptyDir":
            return None
        name = source["name"] if kind == "configMap" else source["secretName"]
        known = self.named.get(("ConfigMap" if kind == "configMap" else "Secret", name))
        if known is None:
            return given(name)
        data = known["data"]
        if kind == "secret":
            data = {key: base64.b64decode(value).decode() for key, value in data.items()}
        if "items" in source:
            return {item["path"]: data[item["key"]] for item in source["items"]}
        return data


def given(name):
    """What an operator would have made by the name that the manifests ask for."""
    if name.endswith("-tls"):
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = f"{folder}/key", f"{folder}/crt"
            run(
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                "-subj", "/CN=kafkamq", "-keyout", key, "-out", certificate, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            key, certificate = pathlib.Path(key).read_text(), pathlib.Path(certificate).read_text()
        return {"tls.key": key, "tls.crt": certificate, "ca.crt": certificate}
    if name.endswith("-scripts"):
        return {"app_log.p": "add_key(status, 'info')\n"}
    if name.endswith("-config"):
        table = '[[inputs.kafkamq]]\naddrs = ["kafka:9092"]\ngroup_id = "%s"\n[inputs.kafkamq.custom.log_topic_map]\n"%s" = "-"\n'
        return {"inputs.toml": "".join(table % (group, f"{group}-logs") for group in ("a", "b"))}
    return {"token": "rehearsal\n"}


def mount_volume(folder, contents, mode, generation=1):
    """Writes files as a kubelet does: in a folder of their own, behind one link that is swapped."""
    version = folder / f"..generation_{generation}"
    for path, content in contents.items():
        target = version / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        target.chmod(mode)
        os.chown(target, 0, USER)
    swap = folder / "..data_tmp"
    swap.symlink_to(version.name)
    swap.rename(folder / "..data")
    for path in contents:
        top = path.split("/")[0]
        link = folder / top
        if not link.is_symlink():
            link.symlink_to(f"..data/{top}")


class Container:
    """The image with a pod's volumes, and the program in it."""

    def __init__(self, binary, pod, folder):
        self.pod = pod
        self.root = folder / "image"
        self.seen = folder / "root"
        run("sh", HERE / "../image/lay-out", binary, self.root)
        self.volumes = {one["name"]: one for one in pod.spec["volumes"]}
        for mount in pod.container["volumeMounts"]:
            target = self.root / mount["mountPath"].lstrip("/")
            target.mkdir(parents=True, exist_ok=True)
            volume = self.volumes.get(mount["name"])
            contents = pod.contents(volume) if volume else None
            if contents is not None:
                source = volume.get("secret") or volume.get("configMap")
                mount_volume(target, contents, source.get("defaultMode", 0o644))
        # What an engine adds.
        for name in ("proc", "dev", "var/lib/kafkamq"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "etc/resolv.conf").write_text("")
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        state = folder / "state"
        state.mkdir()
        os.chown(state, USER, USER)
        self.seen.mkdir()
        run("mount", "--bind", self.root, self.seen)
        run("mount", "-o", "remount,bind,ro,nosuid", self.seen)
        run("mount", "-t", "proc", "proc", self.seen / "proc")
        run("mount", "--rbind", "/dev", self.seen / "dev")
        run("mount", "--bind", state, self.seen / "var/lib/kafkamq")

    def command(self, *arguments):
        # Capabilities go with the user; nothing gives them back.
        tools = [shutil.which("setpriv"), "--no-new-privs", shutil.which("chroot"), f"--userspec={USER}:{USER}"]
        return [*tools, str(self.seen), "/usr/local/bin/kafkamq", *arguments]

    def once(self, *arguments):
        """Its exit code and what it said."""
        command = self.command(*arguments)
        done = subprocess.run(command, env=self.pod.environment(), capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stdout + done.stderr

    def start(self, log):
        command = self.command(*self.pod.container["args"])
        return subprocess.Popen(command, env=self.pod.environment(), stdout=log, stderr=log)

    def watches(self):
        """Whether it takes up changes of its files."""
        folder = self.root / "etc/kafkamq/conf.d"
        return not any("watch = false" in one.read_text() for one in folder.glob("*.toml"))

    def change_configuration(self):
        """Does what a kubelet does when a ConfigMap has changed: another file, behind the same link."""
        folder = self.root / "etc/kafkamq/conf.d"
        files = {one.name: one.read_text() for one in (folder / "..data").iterdir()}
        files["99-more.toml"] = "[limits]\nbatch_records = 500\n"
        mount_volume(folder, files, 0o644, generation=2)

    def unmount(self):
        run("umount", "-R", "-l", self.seen)


def ask(pod, path, scheme):
    """The status and body of a path, as a kubelet asks: certificates are not verified."""
    address = ("127.0.0.1", pod.port)
    if scheme == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(*address, timeout=5, context=context)
    else:
        connection = http.client.HTTPConnection(*address, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def passes(pod, probe):
    """Whether a probe of the manifest succeeds, and what was seen."""
    try:
        if "tcpSocket" in probe:
            socket.create_connection(("127.0.0.1", pod.port), timeout=5).close()
            return True, "connected"
        get = probe["httpGet"]
        status, body = ask(pod, get["path"], get["scheme"])
        return status == 200, f"{status} {body}"
    except OSError as error:
        return False, str(error)


def until(what, holds):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.2)
    raise SystemExit(f"FAILED: {what} did not happen")


def serve(container, folder):
    pod = container.pod
    log = open(folder / "log", "w")
    process = container.start(log)
    try:
        startup, readiness = pod.container["startupProbe"], pod.container["readinessProbe"]
        until("startupProbe", lambda: passes(pod, startup)[0])
        expect(passes(pod, pod.container["livenessProbe"])[0], "livenessProbe")
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        expect(facts["Uid"].split() == [str(USER)] * 4, f"user: {facts['Uid']}")
        expect(int(facts["CapEff"], 16) == 0 and facts["NoNewPrivs"] == "1", "it has capabilities")
        mounts = pathlib.Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines()
        expect(any(m.split()[4] == "/" and m.split()[5].startswith("ro") for m in mounts), "the root can be written")
        # There is no Kafka here: a service that is alive, not ready, and says why.
        ready, why = passes(pod, readiness)
        if "httpGet" in readiness and readiness["httpGet"]["path"] == "/readyz":
            expect(not ready and "not a member of its group" in why, f"/readyz: {why}")
        if "httpGet" in startup:
            scheme = startup["httpGet"]["scheme"]
            expect(ask(pod, "/v1/status", scheme)[0] == 401, "status is shown without a token")
            metrics = lambda: ask(pod, "/metrics", scheme)[1]  # noqa: E731
            expect("kafkamq_config_revision 1" in metrics(), "revision 1")
            if container.watches():
                container.change_configuration()
                until("a reload after the ConfigMap changed", lambda: "kafkamq_config_revision 2" in metrics())
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(pod.spec["terminationGracePeriodSeconds"])
        expect(code == 0, f"SIGTERM ended it with {code}")
        return time.monotonic() - began
    except (SystemExit, subprocess.TimeoutExpired):
        print((folder / "log").read_text())
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        log.close()


def rehearse(binary, path):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kafkamq-image-"))
    container = Container(binary, Pod(path), folder)
    try:
        for arguments in (["--version"], ["check"]):
            code, said = container.once(*arguments)
            expect(code == 0, f"{path.name}: kafkamq {' '.join(arguments)} ended with {code}\n{said}")
        seconds = serve(container, folder)
        print(f"ok  {path.name}: {said.strip().splitlines()[-1]}; probes, reload, SIGTERM ({seconds:.1f} s)")
    finally:
        container.unmount()
        shutil.rmtree(folder)


def main():
    if len(sys.argv) < 3:
        print(__doc__)
        return 2
    if os.geteuid() != 0:
        print("root is needed for mounts")
        return 77
    if "KAFKAMQ_REHEARSAL" not in os.environ:
        words = ["unshare", "--mount", "--net", "--propagation", "private", sys.executable, *sys.argv]
        return subprocess.run(words, env={**os.environ, "KAFKAMQ_REHEARSAL": "1"}).returncode
    run("ip", "link", "set", "lo", "up")
    for path in sys.argv[2:]:
        rehearse(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
