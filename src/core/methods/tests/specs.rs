//! Tests of the list of methods.

use super::*;
use crate::task::Stage;
use crate::task::testing::STAGES;

#[test]
fn a_method_is_found_by_its_name_and_written_as_it() {
    let names: Vec<&str> = Method::all().map(Method::name).collect();
    for (method, name) in Method::all().zip(&names) {
        assert_eq!(Method::named(name), Some(method));
        assert_eq!(serde_json::to_value(method).unwrap(), *name);
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
    }
    assert_eq!(Method::named("dpl"), Some(Method::DPL));
    assert_eq!(Method::named("no-such-method"), None);
}

#[test]
fn the_stages_of_all_methods_are_those_of_the_tasks_but_the_judges() {
    let mut stages: Vec<&str> = stages().into_iter().map(Stage::name).collect();
    let of_tasks = STAGES.iter().filter(|stage| !stage.name().starts_with("judge"));
    let mut of_tasks: Vec<&str> = of_tasks.map(|stage| stage.name()).collect();
    stages.sort_unstable();
    of_tasks.sort_unstable();
    assert_eq!(stages, of_tasks);
    for stage in super::super::stages() {
        assert!(STAGES.contains(&stage), "{stage:?}");
    }
}

#[test]
fn the_table_has_a_line_for_each_method() {
    let table = table(&World::new().options());
    assert_eq!(table.lines().count(), 2 + Method::ALL.len());
    assert!(table.contains("| `dpl` | past texts and a profile of the user's differences |"));
    assert!(table.contains("| `non-perso` | the item alone | nothing |  |"));
}
