//! Documents say what the program says.

#[test]
fn the_table_of_methods_is_that_of_their_specs() {
    let table = idiolect::methods::table(&idiolect::methods::MethodOptions::default());
    let page = include_str!("../../METHODS.md");
    assert!(page.contains(&table), "METHODS.md should contain:\n{table}");
}
