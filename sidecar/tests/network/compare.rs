//! What an operator finds who compares a pod with Ebb and one without: nothing but what is known.

use ebb_compare::stage::ReversePath;
use ebb_compare::table::Table;
use std::path::Path;

/// The table of all scenarios, of which none showed what is not known.
fn compare(reverse_path: ReversePath) -> Table {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let scratch = scratch.join(format!("compare-{reverse_path:?}-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_ebb-sidecar"));
    let table = ebb_compare::run(program, &scratch, reverse_path).unwrap();
    let surprises = table.surprises();
    assert!(surprises.is_empty(), "{surprises:#?}");
    std::fs::remove_dir_all(&scratch).unwrap();
    table
}

/// Every scenario shows the same to both sides in each mode, but for the differences that are
/// documented; and the table of them is the one that is documented.
#[test]
fn a_pod_with_ebb_is_like_one_without() {
    let table = compare(ReversePath::Any);
    let page = include_str!("../../../docs/invisible.md");
    assert!(
        page.contains(&table.to_string()),
        "docs/invisible.md has not this table:\n{table}"
    );
}

/// The same where the pod's kernel looks at the way back to each source, which is another than the
/// one by which the app's leg comes in.
#[test]
fn it_is_so_where_the_way_back_is_checked() {
    for reverse_path in [ReversePath::Strict, ReversePath::Loose] {
        compare(reverse_path);
    }
}
