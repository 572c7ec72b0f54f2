//! Folders that can be sold, and those that cannot.

use bursar_market::{FolderError, Library, Market, MarketError};
use std::fs;

#[test]
fn documents_are_read_recursively_and_have_their_own_ids() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("deep/er")).unwrap();
    for (path, text) in [
        ("a b.md", "# One"),
        ("a-b.txt", "Two"),
        ("deep/er/Page.HTML", "<title>Three</title>"),
        ("image.png", "not text"),
        (".hidden.md", "# no"),
        ("empty.md", "  \n"),
    ] {
        fs::write(folder.path().join(path), text).unwrap();
    }
    fs::write(folder.path().join("latin.txt"), [0xe9, 0x0a]).unwrap();
    let library = Library::read(folder.path()).unwrap();
    let ids: Vec<_> = library.documents().iter().map(|document| document.id().to_owned()).collect();
    assert_eq!(ids, ["a-b", "a-b-2", "deep-er-page"]);
    let skipped: Vec<_> =
        library.skipped().iter().map(|skipped| (skipped.path.as_str(), skipped.reason.as_str())).collect();
    assert_eq!(skipped, [("empty.md", "is empty"), ("latin.txt", "is not UTF-8")]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_sold_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.pdf");
    fs::write(&file, "%PDF").unwrap();
    let missing = folder.path().join("missing");
    let open = async |path| match Market::builder().source_dir(path).start().await {
        Err(MarketError::Folder(error)) => error,
        other => panic!("{other:?}"),
    };
    let empty = open(folder.path().to_owned()).await;
    assert!(matches!(empty, FolderError::Empty { skipped: 0, .. }));
    assert!(empty.to_string().contains("no .md, .txt or .html file"), "{empty}");
    assert!(matches!(open(missing).await, FolderError::Unreadable { .. }));
    assert!(matches!(open(file).await, FolderError::NotAFolder { .. }));
    assert!(matches!(Market::builder().start().await, Err(MarketError::NothingToSell)));
}
