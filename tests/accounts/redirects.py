"""Ways by which a page might be talked into leading elsewhere: 200 and more, as they are tried in the wild."""

EVIL = "evil.example"

SHAPES = (
    "//{}", "///{}", "////{}", "/////{}", "https://{}", "http://{}", "HTTPS://{}", "https:{}", "https:/{}",
    "https:///{}", "ftp://{}", "ws://{}", "//{}/..", "//{}/%2e%2e", "//{}//", "//{}?x", "//{}#x", "//localhost@{}",
    "https://localhost@{}", "//localhost:80@{}", "https://localhost.{}", "https://{}#localhost",
    "https://{}?localhost", "https://{}/localhost", "/\\{}", "\\/{}", "\\\\{}", "\\\\\\{}", "/\\/{}", "/\\\\{}",
    "\\/\\/{}", "/\\/\\{}", "//\\{}", "\\//{}", "/x\\..\\..//{}", "/\t/{}", "/\n/{}", "/\r/{}", "\t//{}", "\n//{}",
    "\r\n//{}", " //{}", "//\t{}", "/ /{}", "//{}\t", "\x00//{}", "/\x00/{}", "\x0b//{}", "\x0c//{}", "\x1f//{}",
    "\x7f//{}", "/\x7f/{}", "ht\ntps://{}", "h\ttps://{}", "https\t://{}", "\u00a0//{}", "\u2028//{}", "\u3000//{}",
    "\ufeff//{}", "\uff0f\uff0f{}", "/\uff0f{}x/../..//{}", "\u2215\u2215{}", "/.//{}", "/..//{}", "/./..//{}",
    "/x//{}", "/x/../..//{}", "/;//{}", "/@//{}", "/:80//{}", "/%09//{}", "/x/.//{}", "?//{}", "#//{}", ";//{}",
    "@{}", ".{}", "{}", "{}/", "www.{}", "~//{}", "*//{}", "%2f%2f{}", "%5c%5c{}", "%0d%0a//{}", "https%3a%2f%2f{}",
    "%68ttps://{}", "//%65vil.example", "//evil%2eexample", "//evil%E3%80%82example", "//evil\u3002example",
    "//[::ffff:192.0.2.1]", "//0xc0000201", "//3221225985", "//192.0.2.1", "https://[::1]@{}", "https://a:b@{}",
    "///\t{}",
)  # fmt: skip
SCHEMES = (
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "java\tscript:alert(1)",
    " javascript:alert(1)", "\x01javascript:alert(1)", "javascript://%0aalert(1)", "javascript:/*/alert(1)",
    "data:text/html,<script>alert(1)</script>", "data:text/html;base64,PHNjcmlwdD4=", "vbscript:msgbox(1)",
    "file:///etc/passwd", "about:blank", "blob:https://x", "mailto:a@b", "tel:911", "sms:911",
    "intent://x#Intent;scheme=http;end", "view-source:https://x", "filesystem:https://x", "urn:x", "x:y",
)  # fmt: skip
SPLITTING = (
    "/x\r\nSet-Cookie: a=b", "/x\nLocation: https://evil.example", "/x\r\n\r\n<script>", "/x\rSet-Cookie: a=b",
    "/\r\n//evil.example", "/x\u010d\u010aSet-Cookie: a=b", "/x\x85Set-Cookie: a=b", "/ x", "/x y", "/x\tb",
    "/\x1b[0m", "/x\x00.html",
)  # fmt: skip
HOSTS = (EVIL, f"user:word@{EVIL}")

CORPUS = tuple(
    dict.fromkeys(
        [shape.replace("{}", host) for host in HOSTS for shape in SHAPES if host == EVIL or "{}" in shape]
        + [*SCHEMES, *SPLITTING, "/" * 30 + EVIL, "/" + "x" * 5_000]
    )
)
OUR_OWN = (
    "/", "/inbox", "/patients?page=2", "/account/security#x", "/messages/0190", "/search?next=//evil.example",
    "/a.b/c-d_e~f", "/x?a=b&c=d%20e", "/\u00fcber",
)  # fmt: skip
