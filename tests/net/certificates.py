# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Certificates for the tests of TLS: a CA of their own, and what one meets in the wild."""

import datetime
import subprocess

NAME = "web.example"
CA_CONF = """
[ca]
default_ca = own
[own]
database = {dir}/index.txt
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""
SERVER = "extendedKeyUsage=serverAuth"
CLIENT = "extendedKeyUsage=clientAuth"


def _date(days):
    return (datetime.datetime.now(datetime.timezone.utc) +
            datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


class Certificates:
    """Makes NAME.pem and NAME.key in a directory; ca.pem is the CA of all but the self-signed."""

    def __init__(self, where, addresses=("10.1.0.1",)):
        self.dir = where
        where.mkdir()
        (where / "index.txt").touch()
        (where / "ca.cnf").write_text(CA_CONF.format(dir=where))
        self._ca("ca")
        self._ca("other-ca")
        name = f"subjectAltName=DNS:{NAME}"
        self._issue("good", name, SERVER)
        self._issue("address", "subjectAltName=" + ",".join(f"IP:{a}" for a in addresses), SERVER)
        self._issue("wrong-name", "subjectAltName=DNS:other.example", SERVER)
        self._issue("expired", name, SERVER, days=(-20, -1))
        self._issue("future", name, SERVER, days=(1, 20))
        self._issue("stranger", name, SERVER, ca="other-ca")
        self._issue("no-server", name, CLIENT)
        self._issue("client", "subjectAltName=DNS:xdplb", CLIENT)
        self._openssl("req", "-x509", *self._new_key("self-signed"), "-out", "self-signed.pem",
                      "-days", 2, "-addext", name)

    def path(self, file):
        return str(self.dir / file)

    def _openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], cwd=self.dir, check=True,
                       capture_output=True)

    @staticmethod
    def _new_key(name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key", "-subj", f"/CN={name}")

    def _ca(self, name):
        self._openssl("req", "-x509", *self._new_key(name), "-out", f"{name}.pem", "-days", 30,
                      "-addext", "basicConstraints=critical,CA:TRUE",
                      "-addext", "keyUsage=critical,keyCertSign")

    def _issue(self, name, *extensions, ca="ca", days=(-1, 20)):
        words = [word for extension in extensions for word in ("-addext", extension)]
        self._openssl("req", "-new", *self._new_key(name), "-out", f"{name}.csr", *words)
        self._openssl("ca", "-batch", "-config", "ca.cnf", "-cert", f"{ca}.pem",
                      "-keyfile", f"{ca}.key", "-in", f"{name}.csr", "-out", f"{name}.pem",
                      "-outdir", ".", "-notext", "-startdate", _date(days[0]),
                      "-enddate", _date(days[1]))
