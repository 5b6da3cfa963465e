//! What an operator finds who compares a pod with Ebb and one without: nothing but what is known.

use std::path::Path;

/// Every scenario shows the same to both sides in each mode, but for the differences that are
/// documented; and the table of them is the one that is documented.
#[test]
fn a_pod_with_ebb_is_like_one_without() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let scratch = scratch.join(format!("compare-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let table = ebb_compare::run(Path::new(env!("CARGO_BIN_EXE_ebb-sidecar")), &scratch);
    let table = table.unwrap();
    let surprises = table.surprises();
    assert!(surprises.is_empty(), "{surprises:#?}");
    let page = include_str!("../../../docs/invisible.md");
    assert!(
        page.contains(&table.to_string()),
        "docs/invisible.md has not this table:\n{table}"
    );
    std::fs::remove_dir_all(&scratch).unwrap();
}
