//! The page: its files, their headers, and who gets them.

use std::fs;
use std::path::{Path, PathBuf};

use super::World;
use super::client::{Answer, Client};
use crate::{ApiKeys, Server, ServerOptions};

const FILES: [(&str, &str); 4] = [
    ("/", "text/html; charset=utf-8"),
    ("/assets/page.js", "text/javascript; charset=utf-8"),
    ("/assets/page.css", "text/css; charset=utf-8"),
    ("/favicon.svg", "image/svg+xml"),
];

fn dist() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("web/dist")
}

/// A server without models, as it is while they are loaded.
fn loading(options: ServerOptions) -> (Server, Client) {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), options).unwrap();
    let client = Client::new(server.address());
    (server, client)
}

fn get_with(client: &Client, path: &str, name: &str, value: &str) -> Answer {
    client.send("GET", path, &[(name, value)], "")
}

#[test]
fn every_built_file_is_served_as_it_is() {
    let (server, client) = loading(ServerOptions::default());
    let mut built = 0;
    let mut folders = vec![dist()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            built += 1;
            let name = path.strip_prefix(dist()).unwrap().to_str().unwrap().to_owned();
            let address = if name == "index.html" { "/".to_owned() } else { format!("/{name}") };
            let answer = client.get(&address);
            assert_eq!(answer.status, 200, "{address}");
            assert_eq!(answer.body, fs::read_to_string(&path).unwrap(), "{address}");
        }
    }
    assert_eq!(built, FILES.len());
    for (path, media_type) in FILES {
        assert_eq!(client.get(path).header("content-type"), Some(media_type));
    }
    for path in ["/index.html", "/assets", "/assets/", "/assets/../Cargo.toml", "/page.js"] {
        client.get(path).error(404);
    }
    client.send("POST", "/", &[], "{}").error(405);
    server.wait(|| true);
}

#[test]
fn the_page_may_load_nothing_from_elsewhere_and_nothing_inline() {
    let (server, client) = loading(ServerOptions::default());
    for (path, _) in FILES {
        let answer = client.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        let expected = [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-cache"),
        ];
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
    }
    let html = client.get("/").body;
    for inline in ["<style", " style=", " onload", "javascript:"] {
        assert!(!html.contains(inline), "{inline}");
    }
    let addresses = html.split("src=\"").skip(1).chain(html.split("href=\"").skip(1));
    let addresses: Vec<&str> = addresses.filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(addresses.len(), 3, "{html}");
    for address in addresses {
        assert!(FILES.iter().any(|(path, _)| *path == address), "{address}");
    }
    assert_eq!(html.matches("<script").count(), html.matches("<script type=\"module\"").count());
    server.wait(|| true);
}

#[test]
fn a_browser_keeps_a_file_until_it_changes() {
    let (server, client) = loading(ServerOptions::default());
    let mut tags = Vec::new();
    for (path, _) in FILES {
        let tag = client.get(path).header("etag").unwrap().to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 34, "{tag}");
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()]
        {
            let answer = get_with(&client, path, "If-None-Match", &known);
            assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{known}");
            assert_eq!(answer.header("etag"), Some(tag.as_str()));
        }
        assert_eq!(get_with(&client, path, "If-None-Match", "\"other\"").status, 200);
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), FILES.len());
    server.wait(|| true);
}

#[test]
fn the_page_needs_no_key_but_the_right_host() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.txt");
    fs::write(&file, "the-right-key-0123456789\n").unwrap();
    let keys = ApiKeys::read(&file).unwrap();
    let world = World::with(ServerOptions { keys, ..ServerOptions::default() });
    for (path, _) in FILES {
        assert_eq!(world.client.get(path).status, 200, "{path}");
        let answer = get_with(&world.client, path, "Host", "evil.example");
        assert_eq!(answer.error(403)["code"], "host_not_allowed");
        let answer = get_with(&world.client, path, "Origin", "http://evil.example");
        assert_eq!(answer.error(403)["code"], "origin_not_allowed");
    }
    assert_eq!(world.client.get("/api/users").error(401)["code"], "invalid_api_key");
    assert_eq!(world.client.get("/api/users").header("cache-control"), Some("no-store"));
    assert_eq!(world.client.get("/assets/other.js").status, 401);
}
