//! Every spelling of a host that must not be reached, as the first URL and behind every kind of redirect.

use linkspan_domain::ports::OutboundError;
use url::Url;

use crate::site::{Names, Site, client, client_with, empty, failure, get, is_refusal, ok, text};

/// Only this address is allowed, so that every other one on loopback counts as hostile.
const ALLOW: &str = "127.0.0.1/32";

/// URLs that lead to an address outside the policy, in a header as in a form.
const HOSTILE: &[&str] = &[
    // Spellings of 127.0.0.2.
    "http://2130706434/",
    "http://0x7f000002/",
    "http://0X7F000002/",
    "http://0x7f.0x0.0x0.0x2/",
    "http://0177.0.0.2/",
    "http://0177.0.0.02/",
    "http://017700000002/",
    "http://00000177.0.0.2/",
    "http://127.2/",
    "http://127.0.2/",
    "http://127.0.0.2./",
    "http://0x7f.2/",
    "http://%31%32%37.0.0.2/",
    "http://127.0.0.2:80/",
    "https://127.0.0.2/",
    // Spellings of other addresses.
    "http://0/",
    "http://0./",
    "http://0x0/",
    "http://0.0.0.0/",
    "http://012.0.0.1/",
    "http://10.1/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    // Spellings of IPv6.
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::FFFF:7F00:0001]/",
    "http://[::7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:0:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[febf::1]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd12:3456::1]/",
    "http://[fd00:ec2::254]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[100::1]/",
    "http://[5f00::1]/",
    "http://[ff02::1]/",
    // The ranges of IPv4.
    "http://0.1.2.3/",
    "http://10.0.0.1/",
    "http://100.64.0.1/",
    "http://100.127.255.254/",
    "http://100.100.100.200/latest/meta-data/",
    "http://127.255.255.254/",
    "http://168.63.129.16/metadata",
    "http://169.254.0.1/",
    "http://169.254.169.254/latest/meta-data/iam/",
    "http://169.254.170.2/v2/credentials",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.0.0.1/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://192.168.0.1/",
    "http://198.18.0.1/",
    "http://198.19.255.254/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://239.255.255.255/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    // Names.
    "http://localhost/",
    "http://localhost./",
    "http://LOCALHOST/",
    "http://intern.test/",
    "http://mixed.test/",
    "http://v6.test/",
    "http://mapped.test/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://METADATA.google.internal./",
    "http://metadata/",
    "http://metadata.goog/",
    "http://instance-data/latest/",
    "http://instance-data.ec2.internal/",
    // User information, honest and not.
    "http://a.test@10.0.0.1/",
    "http://a.test:80@10.0.0.1/",
    "http://10.0.0.1@a.test/",
    "http://user@a.test/",
    "http://user:password@a.test/",
    "http://:password@a.test/",
    "http://a.test&@10.0.0.1#@b.test/",
    "http://a.test%23@10.0.0.1/",
    // Tricks with delimiters.
    "http:\\\\10.0.0.1\\",
    "http:/\\10.0.0.1/",
    "http:///10.0.0.1/",
    "http://10.0.0.1\\@a.test/",
    "http://10.0.0.1#@a.test/",
    "http://10.0.0.1?@a.test/",
    "http://10.0.0.1;a.test/",
    "http://10.0.\t0.1/",
    "ht\ttp://10.0.0.1/",
    "\thttp://10.0.0.1/\t",
    // Other schemes.
    "file:///etc/passwd",
    "file://a.test/etc/passwd",
    "ftp://a.test/",
    "gopher://a.test/_GET",
    "dict://a.test:11211/stats",
    "ldap://a.test/",
    "ws://a.test/",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "jar:http://a.test!/",
    "unix:/var/run/docker.sock",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/containers/json",
    "https+unix://%2Fvar%2Frun%2Fdocker.sock/containers/json",
    // No host, or none that can be one.
    "http://",
    "http:///",
    "http://256.0.0.1/",
    "http://127.0.0.1.1/",
    "http://0x100000000/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1/",
    "http://a.test:99999/",
    "http://a.te st/",
    "http://10.0.0.1%00.a.test/",
];

/// The same with characters that a header cannot carry.
const HOSTILE_BEYOND_ASCII: &[&str] = &[
    "http://１２７.０.０.２/",
    "http://127。0。0。2/",
    "http://127．0．0．2/",
    "http://①②⑦.⓪.⓪.②/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://loc\u{ad}alhost/",
    "http://local\u{200b}host/",
    "http://metadata。google。internal/",
    "http://ｍetadata.google.internal/",
    "http://[::１]/",
    "http://10.0.\n0.1/",
    "http://10.0.\r\n0.1/",
    "ht\ntp://10.0.0.1/",
    "http:10.0.0.1/",
    " http://10.0.0.1/ ",
];

fn names() -> std::sync::Arc<Names> {
    let loopback: &[&[&str]] = &[&["127.0.0.1"]];
    Names::new(&[
        ("a.test", loopback),
        ("b.test", loopback),
        ("localhost", &[&["127.0.0.1", "::1"]]),
        ("localhost.", &[&["127.0.0.1", "::1"]]),
        ("intern.test", &[&["10.0.0.5"]]),
        ("mixed.test", &[&["127.0.0.1", "10.0.0.5"]]),
        ("v6.test", &[&["fd00::5"]]),
        ("mapped.test", &[&["::ffff:127.0.0.1"]]),
        // Even a harmless answer does not make these reachable.
        ("metadata", loopback),
        ("metadata.google.internal", loopback),
        ("metadata.google.internal.", loopback),
        ("metadata.goog", loopback),
        ("instance-data", loopback),
        ("instance-data.ec2.internal", loopback),
    ])
}

#[tokio::test]
async fn no_spelling_of_a_hostile_host_is_requested() {
    let client = client_with(ALLOW, names());
    for spelling in HOSTILE.iter().chain(HOSTILE_BEYOND_ASCII) {
        // What is no URL cannot be asked for.
        let Ok(url) = Url::parse(spelling) else { continue };
        let failure = failure(get(&client, url.clone()).await).await;
        // A name that the resolver of the test does not know is a host that was never reached, too.
        let unknown =
            matches!(&failure, OutboundError::Unreachable { host, .. } if host.contains(';'));
        assert!(is_refusal(&failure) || unknown, "{spelling} is {url}: {failure:?}");
    }
}

#[tokio::test]
async fn no_redirect_leads_to_a_hostile_host() {
    let client = client_with(ALLOW, names());
    let site = Site::answering(|request| {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        let (status, case) = path[1..].split_once('/').unwrap();
        let location = HOSTILE[case.parse::<usize>().unwrap()];
        empty(status.parse().unwrap(), &format!("location: {location}\r\n"))
    })
    .await;
    let mut expected = 0;
    for status in [301, 302, 303, 307, 308] {
        for (case, location) in HOSTILE.iter().enumerate() {
            let url = site.url("a.test", &format!("/{status}/{case}"));
            let failure = failure(get(&client, url).await).await;
            let unknown =
                matches!(&failure, OutboundError::Unreachable { host, .. } if host.contains(';'));
            assert!(is_refusal(&failure) || unknown, "{status} {location}: {failure:?}");
            expected += 1;
            assert_eq!(site.requests().len(), expected, "{status} {location} was followed");
        }
    }
}

#[tokio::test]
async fn a_host_is_read_the_same_way_when_checked_and_when_dialled() {
    let client = client_with(ALLOW, names());
    let site = Site::answering(|request| {
        ok(request.lines().find(|line| line.starts_with("host: ")).unwrap())
    })
    .await;
    let port = site.port;
    for (spelling, host) in [
        (format!("http://a.test:{port}\\@10.0.0.1/"), "a.test"),
        (format!("http://a.test:{port}#@10.0.0.1/"), "a.test"),
        (format!("http://a.test:{port}?@10.0.0.1/"), "a.test"),
        (format!("http://A.TEST:{port}/"), "a.test"),
        (format!("http://ａ.test:{port}/"), "a.test"),
        (format!("http://a.\ttest:{port}/"), "a.test"),
        (format!("http://2130706433:{port}/"), "127.0.0.1"),
    ] {
        let seen = text(get(&client, Url::parse(&spelling).unwrap()).await).await;
        assert_eq!(seen, format!("host: {host}:{port}"), "{spelling}");
    }
}

#[tokio::test]
async fn metadata_names_stay_closed_when_everything_is_allowed() {
    let site = Site::answering(|_| ok("credentials")).await;
    let client = client_with("0.0.0.0/0,::/0", names());
    for host in ["metadata.google.internal", "metadata.google.internal.", "metadata"] {
        let failure = failure(get(&client, site.url(host, "/")).await).await;
        assert!(matches!(failure, OutboundError::Refused { .. }), "{host}: {failure:?}");
    }
    assert_eq!(site.connections(), 0);
}

#[tokio::test]
async fn a_refusal_names_the_host_and_the_rule() {
    let url = Url::parse("http://169.254.169.254/latest?x=1").unwrap();
    let failure = failure(get(&client(""), url).await).await;
    assert_eq!(
        failure.to_string(),
        "requests to 169.254.169.254 are refused by the egress policy (cloud metadata service); \
         an operator can allow its network with LINKSPAN_EGRESS_ALLOW"
    );
}
