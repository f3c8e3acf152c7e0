//! Posts and comments of Reddit: `posts.csv` and `comments.csv` of the data that Reddit sends on request, and
//! JSON lines with the fields of Reddit's API, as collections of all posts have them.

use std::path::Path;

use serde_json::Value;

use super::archive::{self, ExportFiles, OWNER_UNNAMED};
use super::chat_text::{self, BOTS, DELETED, EMPTY, NO_OWN_WORDS, ONLY_LINKS};
use super::export_rows::{self, OfRow, read_tables, rows};
use super::{
    Answered, ByteCount, Conversation, ExportMessage, ExportReader, MessageAuthor, OnFound,
    markdown_text,
};
use crate::Result;

/// First columns of both tables.
const HEADER: &str = "id,permalink,date,";
/// In the place of texts and names that were taken back.
const GONE: [&str; 3] = ["[deleted]", "[removed]", "[deleted by user]"];
/// Names of accounts that are programs.
const PROGRAMS: [&str; 2] = ["AutoModerator", "RemindMeBot"];

/// Whether a file begins like a table of Reddit or like its JSON lines, or a folder or an archive has the
/// tables.
pub(super) fn looks_like(path: &Path, head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let is_table =
        first.starts_with(HEADER) && first.contains("subreddit") && first.contains("body");
    let is_json = first.starts_with(['{', '['])
        && text.contains("\"subreddit\"")
        && ["\"body\"", "\"selftext\""].iter().any(|name| text.contains(name));
    is_table
        || is_json
        || archive::holds(path, head, |name| base(name) == "comments.csv")
            && archive::holds(path, head, |name| base(name) == "posts.csv")
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Opens the data of an account, one of its tables, or a file of JSON lines.
///
/// # Errors
/// [`crate::Error::Open`].
pub(super) fn open(path: &Path) -> Result<RedditReader> {
    let files = ExportFiles::open(path)?;
    let is_single = path.is_file() && files.names().count() == 1;
    let tables =
        files.named(|name| is_single || matches!(base(name), "comments.csv" | "posts.csv"));
    Ok(RedditReader { files, tables })
}

/// Reads posts and comments of Reddit.
pub(super) struct RedditReader {
    files: ExportFiles,
    tables: Vec<String>,
}

impl ExportReader for RedditReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        let owner = self.owner().unwrap_or_else(|| OWNER_UNNAMED.to_owned());
        let columns = ["id", "subreddit", "body"];
        let tables = (&self.tables[..], &columns[..], "neither comments.csv nor posts.csv");
        read_tables(&self.files, tables, on, &|row| read(row, &owner))
    }

    fn bytes_read(&self) -> Option<ByteCount> {
        Some(self.files.bytes_read())
    }

    fn size(&self) -> Option<u64> {
        Some(self.files.size_of(&self.tables))
    }
}

impl RedditReader {
    /// Name of the account, from `statistics.csv`.
    fn owner(&self) -> Option<String> {
        let mut owner = None;
        for name in self.files.named(|name| base(name) == "statistics.csv") {
            let _ = rows(&self.files, &name, &["statistic", "value"], &mut |_, row| {
                let row = row.unwrap_or_default();
                if export_rows::text(&row, "statistic").as_deref() == Some("account name") {
                    owner = export_rows::text(&row, "value");
                }
                Ok(owner.is_none())
            });
        }
        owner
    }
}

/// Returns the message of a row, or the reason to leave it out, or the reason why it cannot be read.
fn read(row: &Value, owner: &str) -> OfRow {
    let field = |name: &str| export_rows::text(row, name);
    let has = |name: &str| row.get(name).is_some();
    let is_post = has("title") || has("selftext");
    if !is_post && !has("body") {
        return Err("neither `body` nor `title`; expected a post or a comment of Reddit".to_owned());
    }
    let name = field("author").unwrap_or_else(|| owner.to_owned());
    let marked = match is_post {
        true => field("selftext").or_else(|| field("body")),
        false => field("body"),
    };
    let marked = marked.unwrap_or_default();
    if GONE.contains(&name.as_str()) || GONE.contains(&marked.trim()) {
        return Ok(Err(DELETED));
    }
    if PROGRAMS.contains(&name.as_str()) {
        return Ok(Err(BOTS));
    }
    let text = markdown_text::plain(&marked);
    if text.is_empty() {
        return Ok(Err(if marked.trim().is_empty() { EMPTY } else { NO_OWN_WORDS }));
    }
    if chat_text::is_only_links(&text) {
        return Ok(Err(ONLY_LINKS));
    }
    let id = field("id").map(|id| bare(&id).to_owned());
    let links =
        ["link", "permalink", "link_permalink", "url"].iter().filter_map(|name| field(name));
    let (post, slug) = links.filter_map(|link| of_link(&link)).next().unwrap_or_default();
    let post = match is_post {
        true => id.clone().or(Some(post).filter(|post| !post.is_empty())),
        false => field("link_id").map(|id| bare(&id).to_owned()).or(Some(post)),
    };
    let post = post.filter(|post| !post.is_empty()).ok_or("the post's id is missing")?;
    let own_title = if is_post { field("title") } else { None };
    let title = own_title.clone().or_else(|| field("link_title")).or(Some(slug));
    // In the data of an account the parent of a comment has no prefix, and is empty below a post.
    let parent =
        field("parent_id").or_else(|| field("parent").map(|id| format!("t1_{}", bare(&id))));
    let answers = match is_post {
        true => Answered::Nothing,
        false => Answered::Id(parent.unwrap_or_else(|| format!("t3_{post}"))),
    };
    Ok(Ok(ExportMessage {
        id: id.map(|id| format!("{}_{id}", if is_post { "t3" } else { "t1" })),
        author: MessageAuthor { name: Some(name), address: None },
        conversation: Conversation {
            id: post,
            title: title.filter(|title| !title.is_empty()),
            description: field("subreddit")
                .map(|name| format!("r/{}", name.trim_start_matches("r/"))),
        },
        time: export_rows::seconds(row, "created_utc")
            .or_else(|| export_rows::seconds(row, "date")),
        text,
        answers,
        title: own_title,
        rating: None,
    }))
}

/// An id without the prefix for its kind.
fn bare(id: &str) -> &str {
    ["t1_", "t3_"].iter().find_map(|kind| id.strip_prefix(kind)).unwrap_or(id)
}

/// The post's id and the words of its title in an address: `.../comments/abc12/the_big_tent/`.
fn of_link(link: &str) -> Option<(String, String)> {
    let (_, rest) = link.split_once("/comments/")?;
    let mut parts = rest.split(['/', '?']);
    let id = parts.next().filter(|id| !id.is_empty())?;
    // Links to comments may leave the title out.
    let slug = parts.next().filter(|slug| slug.contains('_')).unwrap_or_default();
    Some((id.to_owned(), slug.replace('_', " ").trim().to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::import::messages::testing::{self, Summary};

    const COMMENTS: &str = "\
id,permalink,date,ip,subreddit,gildings,link,parent,body,media
c1,https://www.reddit.com/r/lakes/comments/p1/who_has_the_tent/c1/,2023-01-13 09:01:00 UTC,,lakes,0,https://www.reddit.com/r/lakes/comments/p1/who_has_the_tent/,,\"> the tent?

**Me.** See [map](https://x.example), it's

    code

done\",
c2,https://www.reddit.com/r/lakes/comments/p1/who_has_the_tent/c2/,2023-01-13 09:02:00 UTC,,lakes,0,https://www.reddit.com/r/lakes/comments/p1/who_has_the_tent/,c9,No,
c3,https://www.reddit.com/r/lakes/comments/p1/x/c3/,soon,,lakes,0,,,[deleted],
c4,https://www.reddit.com/r/lakes/comments/p1/x/c4/,,,lakes,0,,,https://x.example,
c5,,,,lakes,0,,,No place,
c6,\"broken
";
    const POSTS: &str = "\
id,permalink,date,ip,subreddit,gildings,title,url,body
p2,https://www.reddit.com/r/lakes/comments/p2/tents_a_b/,2023-01-14 09:01:00 UTC,,lakes,0,\"Tents, a list\",/r/lakes/comments/p2/tents_a_b/,Buy none.
p3,https://www.reddit.com/r/lakes/comments/p3/photo/,2023-01-14 09:02:00 UTC,,lakes,0,Photo,https://i.example/a.png,
";

    fn read_files(files: &[(&str, &str)]) -> Summary {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let path = match files {
            [(name, _)] => folder.path().join(name),
            _ => folder.path().to_owned(),
        };
        testing::summary(&mut open(&path).unwrap())
    }

    #[test]
    fn the_data_of_an_account() {
        let statistics = "statistic,value\naccount name,anna_h\nemail verified,true\n";
        let votes = "id,permalink,direction\nx,y,up\n";
        let read = read_files(&[
            ("comments.csv", COMMENTS),
            ("posts.csv", POSTS),
            ("statistics.csv", statistics),
            ("post_votes.csv", votes),
        ]);
        let found: Vec<(&str, &str, Option<&str>)> = read
            .messages
            .iter()
            .map(|m| (m.id.as_deref().unwrap(), m.text.as_str(), m.conversation.title.as_deref()))
            .collect();
        let expected = [
            ("t1_c1", "Me. See map, it's\n\ndone", Some("who has the tent")),
            ("t1_c2", "No", Some("who has the tent")),
            ("t3_p2", "Buy none.", Some("Tents, a list")),
        ];
        assert_eq!(found, expected);
        let [top, below, post] = &read.messages[..] else { unreachable!() };
        assert_eq!(top.answers, Answered::Id("t3_p1".to_owned()));
        assert_eq!(below.answers, Answered::Id("t1_c9".to_owned()));
        assert_eq!(top.conversation.id, "p1");
        assert_eq!(top.conversation.description.as_deref(), Some("r/lakes"));
        assert_eq!(top.time, Some(1_673_600_460));
        assert_eq!(top.author.name.as_deref(), Some("anna_h"));
        assert_eq!(post.title.as_deref(), Some("Tents, a list"));
        assert_eq!(read.left, [(DELETED, 1), (ONLY_LINKS, 1), (EMPTY, 1)].into());
        assert_eq!(read.malformed.len(), 2, "{:?}", read.malformed);
        assert!(looks_like(Path::new("comments.csv"), COMMENTS.as_bytes()));
        assert_eq!(
            read_files(&[("posts.csv", POSTS)]).messages[0].author.name.as_deref(),
            Some("me")
        );
    }

    #[test]
    fn lines_of_all_comments_and_posts() {
        let lines = [
            json!({"author": "anna_h", "body": "Me &amp; you", "created_utc": 1_673_600_460, "subreddit": "lakes", "link_id": "t3_p1", "parent_id": "t1_c9", "id": "c1", "score": 5}),
            json!({"author": "bo", "title": "Tents", "selftext": "Buy none.", "created_utc": "1673600460", "subreddit": "lakes", "id": "p2", "permalink": "/r/lakes/comments/p2/tents/", "is_self": true}),
            json!({"author": "[deleted]", "body": "x", "link_id": "t3_p1", "id": "c2"}),
            json!({"author": "AutoModerator", "body": "I am a bot", "link_id": "t3_p1", "id": "c3"}),
            json!({"author": "bo", "body": null, "link_id": "t3_p1", "id": "c4"}),
            json!({"author": "bo", "no": 1}),
        ];
        let text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n") + "\n{\"auth";
        assert!(looks_like(Path::new("x.jsonl"), text.as_bytes()));
        let read = read_files(&[("RC_2023-01.jsonl", &text)]);
        let found: Vec<(&str, &str)> = read
            .messages
            .iter()
            .map(|m| (m.author.name.as_deref().unwrap(), m.text.as_str()))
            .collect();
        assert_eq!(found, [("anna_h", "Me & you"), ("bo", "Buy none.")]);
        assert_eq!(read.messages[0].answers, Answered::Id("t1_c9".to_owned()));
        assert_eq!(
            (read.messages[1].time, read.messages[1].conversation.id.as_str()),
            (Some(1_673_600_460), "p2")
        );
        assert_eq!(read.left, [(DELETED, 1), (BOTS, 1), (EMPTY, 1)].into());
        assert_eq!(read.malformed.len(), 2, "{:?}", read.malformed);
    }

    proptest! {
        #[test]
        fn any_row_is_read(values in prop::collection::vec(crate::import::python_literal_tests::any_json(), 0..9)) {
            let mut row = json!({});
            let names = ["body", "id", "link_id", "title", "permalink", "created_utc", "parent", "author", "selftext"];
            for (name, value) in names.iter().zip(&values) {
                row[*name] = value.clone();
            }
            if let Ok(Ok(message)) = read(&row, "me") {
                prop_assert!(!message.text.trim().is_empty());
            }
        }

        #[test]
        fn any_link_is_read(link in "(/comments/|/|_|\\?|.)*") {
            let _ = of_link(&link);
        }
    }
}
