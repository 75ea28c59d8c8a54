"""Ways to write a URL that leads, or could be read to lead, to an address that is denied."""

HOSTS = (
    *("127.0.0.1", "127.1", "127.0.1", "127.0.0.2", "127.255.255.254", "2130706433", "0x7f000001"),
    *("0x7F.1", "0x7f.0.0.1", "0177.0.0.1", "0177.1", "017700000001", "127.0x0.0.01", "0", "0.0"),
    *("0.0.0.0", "0x0", "127.0.0.1.", "127.1.", "2130706433."),
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "ip6-localhost", "LocalHost."),
    *("[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]", "[::ffff:127.0.0.1]"),
    *("[::ffff:7f00:1]", "[::FFFF:7F00:0001]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::127.0.0.1]"),
    *("[::7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]"),
    *("[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]", "[::ffff:169.254.169.254]"),
    *("[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[fd00:ec2::254]", "[fe80::1]", "[fec0::1]"),
    *("[ff02::1]", "[100::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[::ffff:10.0.0.1]"),
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "169.254.43518"),
    *("0251.0376.0251.0376", "169.254.169.254.", "100.100.100.200", "168.63.129.16", "10.0.0.1"),
    *(
        "10.1",
        "167772161",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.168.257",
        "100.64.1",
    ),
    *("192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "4294967295"),
    *("metadata.google.internal", "metadata.google.internal.", "mixed.example", "mapped.example"),
    *("alias.example", "six.example", "nat64.example", "scoped.example"),
)
"""Hosts of well-formed URLs."""

ADDRESSES = {
    "localhost": ["::1", "127.0.0.1"],
    "a.localhost": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "metadata.google.internal": ["169.254.169.254"],
    "mixed.example": ["8.8.8.8", "127.0.0.1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "alias.example": ["192.168.0.1"],
    "six.example": ["fd00::1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "scoped.example": ["fe80::1%lo"],
}
"""Where the names among them lead."""


def url_forms(port: int) -> list[str]:
    """Return URLs, each of them another, with a port where there is one."""
    plain = [f"http://{host}:{port}/hook" for host in HOSTS]
    secure = [f"https://{host}:{port}/hook" for host in HOSTS]
    bare = [f"http://{host}/" for host in HOSTS] + [f"https://{host}" for host in HOSTS]
    shouted = [f"HTTP://{host.upper()}:{port}?a=b#c" for host in HOSTS]
    tricks = [
        form.format(port=port)
        for form in (
            "http://user@127.0.0.1:{port}/",
            "http://user:pass@127.0.0.1:{port}/",
            "http://a.example:80@127.0.0.1:{port}/",
            "http://a.example%40127.0.0.1:{port}/",
            "http://a.example\\@127.0.0.1:{port}/",
            "http://127.0.0.1:{port}\\@a.example/",
            "http:\\\\127.0.0.1:{port}\\",
            "http:/\\127.0.0.1:{port}/",
            "http:/127.0.0.1:{port}/",
            "http:127.0.0.1:{port}/",
            "http:////127.0.0.1:{port}/",
            "//127.0.0.1:{port}/",
            "127.0.0.1:{port}/",
            " http://127.0.0.1:{port}/",
            "http://127.0.0.1:{port} /",
            "http://127.0.0.1 :{port}/",
            "http://127.0.0\t.1:{port}/",
            "http://127.0.0.1\n:{port}/",
            "http://127.0.0.1\r\n:{port}/",
            "http://127.0.0.1\x00:{port}/",
            "http://127.0.0.1%00.a.example:{port}/",
            "http://127.0.0.1%2f.a.example:{port}/",
            "http://%31%32%37.0.0.1:{port}/",
            "http://127%2e0%2e0%2e1:{port}/",
            "http://127.0.0.1%20:{port}/",
            "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/",
            "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11:{port}/",
            "http://127\u30020\u30020\u30021:{port}/",
            "http://127\uff0e0\uff0e0\uff0e1:{port}/",
            "http://\u217cocalhost:{port}/",
            "http://loc\u00adalhost:{port}/",
            "http://[::1%25lo]:{port}/",
            "http://[fe80::1%lo]:{port}/",
            "http://[::1:{port}/",
            "http://::1:{port}/",
            "http://[127.0.0.1]:{port}/",
            "http://127.0.0.1:{port}:{port}/",
            "http://127.0.0.1,a.example:{port}/",
            "http://127.0.0.1;a.example:{port}/",
            "http://127.0.0.1..:{port}/",
            "http://.127.0.0.1:{port}/",
            "http://00127.0.0.1.a.0x7f:{port}/",
            "ftp://127.0.0.1:{port}/",
            "gopher://127.0.0.1:{port}/_POST",
            "file://127.0.0.1/etc/passwd",
            "file:///etc/passwd",
            "dict://127.0.0.1:{port}/",
            "unix:///run/a.sock",
            "jar:http://127.0.0.1:{port}!/",
            "data:,a",
            "javascript:alert(1)",
        )
    ]
    return [*plain, *secure, *bare, *shouted, *tricks]
