//! The library on disk and in the program: what hides what, and what is broken stays alone.

use std::fs;

use super::*;

const READ: &str = "kind: read\nsteps:\n  - run: uptime\n";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
    let folder = folder(files);
    let paths = LibraryPaths {
        project: Some(folder.path().to_owned()),
        ..LibraryPaths::default()
    };
    let library = Library::load(&paths).unwrap();
    (folder, library)
}

fn messages(errors: &[Diagnostic]) -> Vec<&str> {
    errors.iter().map(|error| error.message.as_str()).collect()
}

#[test]
fn the_built_in_tasks_have_no_errors_and_use_only_what_works() {
    let library = Library::built_in();
    for file in library.check() {
        assert_eq!(messages(&file.errors), [""; 0], "{:#?}", file.errors);
        assert_eq!(messages(&file.notes), [""; 0], "{:#?}", file.notes);
    }
    for name in [
        "heapdump",
        "threaddump",
        "restart",
        "jvms",
        "disk",
        "versions",
        "rolling_restart",
        "rolling_reboot",
        "zk_rolling_restart",
        "hotfix",
    ] {
        let task = library.get(name).unwrap();
        assert!(!task.desc.is_empty() && task.folder.is_none(), "{name}");
    }
}

#[test]
fn a_script_of_a_built_in_task_is_there() {
    let task = Library::built_in().get("heapdump").unwrap();
    let bytes = Library::read_file(&task, "./lib/find-jvm.sh").unwrap();
    assert!(bytes.starts_with(b"#!"));
    assert_eq!(
        Library::read_file(&task, "lib/no.sh"),
        Err("no such file".to_owned())
    );
}

#[test]
fn a_later_layer_hides_an_earlier_one() {
    let user = folder(&[("disk.yml", READ), ("mine.yml", READ)]);
    let project = folder(&[("disk.yml", READ), (".hidden.yml", "-"), ("notes.txt", "-")]);
    let file = folder(&[(
        "f.yml",
        "task: disk\nkind: read\ndesc: of the file\nsteps: [{run: df}]\n---\ntask: other\nkind: read\nsteps: [{run: id}]\n---\n",
    )]);
    let paths = LibraryPaths {
        user: Some(user.path().to_owned()),
        project: Some(project.path().to_owned()),
        file: Some(file.path().join("f.yml")),
    };
    let library = Library::load(&paths).unwrap();
    let disk = library
        .entries()
        .find(|entry| entry.name == "disk")
        .unwrap();
    assert_eq!((disk.origin, disk.desc()), (Origin::File, "of the file"));
    assert_eq!(
        disk.hides
            .iter()
            .map(|(origin, _)| *origin)
            .collect::<Vec<_>>(),
        [Origin::Project, Origin::User, Origin::BuiltIn]
    );
    assert_eq!(disk.hides[2].1, Path::new("built-in/disk.yml"));
    assert!(library.get("mine").is_ok() && library.get("other").is_ok());
}

#[test]
fn folders_need_not_exist_but_the_file_must() {
    let nowhere = Some(PathBuf::from("/nonexistent/tasks"));
    let paths = LibraryPaths {
        user: nowhere.clone(),
        project: nowhere,
        file: None,
    };
    assert!(Library::load(&paths).is_ok());
    let paths = LibraryPaths {
        file: Some("/nonexistent/t.yml".into()),
        ..LibraryPaths::default()
    };
    let errors = Library::load(&paths).unwrap_err();
    assert_eq!(
        messages(&errors),
        ["cannot read the task file `/nonexistent/t.yml`"]
    );
}

#[test]
fn a_broken_file_breaks_its_own_task_alone() {
    let (_folder, library) = project(&[
        ("bad.yml", "task: bad\nkind: reed\nsteps: [{run: x}]\n"),
        ("worse.yml", "task: worst # of all\nsteps: [\n"),
        ("empty.yml", "# nothing\n"),
        ("good.yml", READ),
    ]);
    assert!(library.get("good").is_ok());
    assert_eq!(
        messages(&library.get("bad").unwrap_err()),
        ["`kind` must be `read` or `change`, not `reed`"]
    );
    assert!(
        library.get("worst").unwrap_err()[0]
            .message
            .starts_with("not valid YAML")
    );
    assert_eq!(
        messages(&library.get("empty").unwrap_err()),
        ["this file holds no task"]
    );
    assert!(library.find("bad").is_none());
    let broken: Vec<&str> = library
        .entries()
        .filter(|entry| entry.task.is_none())
        .map(|entry| entry.name)
        .collect();
    assert_eq!(broken, ["bad", "empty", "worst"]);
    let files = library.check();
    let wrong = files.iter().filter(|file| !file.errors.is_empty());
    assert_eq!(wrong.count(), 3);
}

#[test]
fn an_unknown_name_has_the_nearest_and_all() {
    let error = &Library::built_in().get("heapdmup").unwrap_err()[0];
    assert_eq!(error.message, "no task named `heapdmup`");
    assert_eq!(
        error.hints,
        [
            "did you mean `heapdump`? all tasks: disk, heapdump, hotfix, jvms, restart, rolling_reboot, \
             rolling_restart, threaddump, versions, zk_rolling_restart"
        ]
    );
}

#[test]
fn two_tasks_of_one_name_in_one_layer_are_an_error_of_the_second() {
    let (_folder, library) = project(&[
        ("a.yml", READ),
        ("b.yml", "task: a\nkind: read\nsteps: [{run: id}]\n"),
    ]);
    assert!(library.get("a").is_ok());
    let errors: Vec<Diagnostic> = library
        .check()
        .into_iter()
        .flat_map(|file| file.errors)
        .collect();
    assert_eq!(messages(&errors), ["two tasks are called `a`"]);
    assert!(
        errors[0].label.as_ref().unwrap().ends_with("a.yml:1:1"),
        "{errors:?}"
    );
}

#[test]
fn a_task_with_a_rollout_of_its_own_is_no_step() {
    let (_folder, library) = project(&[
        (
            "a.yml",
            "kind: change\nstrategy: all\nsteps: [{task: b}, {task: c}, {task: d}]\n",
        ),
        (
            "b.yml",
            "kind: read\nafter: [{log: x}]\nsteps: [{run: x}]\n",
        ),
        (
            "c.yml",
            "kind: read\nphases: [{name: p, steps: [{run: x}]}]\n",
        ),
        (
            "d.yml",
            "kind: change\nstrategy: all\nfacts: [{run: x}]\nsteps: [{run: x}]\n",
        ),
    ]);
    assert_eq!(
        messages(&library.get("a").unwrap_err()),
        [
            "task `b` has `before` or `after` steps and cannot be a step of another task",
            "task `c` has `phases` and cannot be a step of another task",
            "task `d` has `facts` and cannot be a step of another task",
        ]
    );
}

#[test]
fn called_tasks_exist_fit_and_do_not_come_back() {
    let (_folder, library) = project(&[
        ("a.yml", "kind: read\nsteps: [{task: b}]\n"),
        (
            "b.yml",
            "kind: read\nsteps: [{group: [{task: {name: a}}]}]\n",
        ),
        (
            "c.yml",
            "kind: read\nsteps: [{task: {name: needy, params: {colour: red}}}, {task: heapdmup}, {task: bad}]\n",
        ),
        (
            "needy.yml",
            "strategy: all\nparams: {color: {}, size: {required: true}}\nsteps: [{run: x}]\n",
        ),
        ("bad.yml", "kind: read\nsteps: [{rnu: x}]\n"),
    ]);
    assert_eq!(
        messages(&library.get("a").unwrap_err()),
        ["task `a` calls itself: a → b → a"]
    );
    assert_eq!(
        messages(&library.get("c").unwrap_err()),
        [
            "task `needy` has no param `colour`",
            "task `needy` wants the param `size`",
            "task `needy` changes hosts, and `c` only reads",
            "no task named `heapdmup`",
            "task `bad` has errors",
            "unknown key `rnu` in step 1 of `steps`",
        ]
    );
    let error = &library.get("c").unwrap_err()[0];
    assert_eq!(error.hints, ["did you mean `color`?"]);
    assert!(
        error.span.as_ref().unwrap().place().ends_with("c.yml:2:9"),
        "{error:?}"
    );
}

#[test]
fn scripts_are_read_beside_their_task() {
    let (_folder, library) = project(&[
        ("a.yml", "kind: read\nsteps:\n  - script: lib/a.sh\n"),
        (
            "b.yml",
            "kind: read\nsteps:\n  - script: {src: lib/aa.sh}\n  - script: lib\n",
        ),
        ("lib/a.sh", "echo a\n"),
    ]);
    let task = library.get("a").unwrap();
    let crate::task::Action::Script(script) = &task.phases[0].steps[0].action else {
        panic!("a script");
    };
    assert_eq!(script.text.as_deref(), Some(&b"echo a\n"[..]));
    let errors = library.get("b").unwrap_err();
    assert_eq!(
        messages(&errors),
        [
            "cannot read `lib/aa.sh`: no such file",
            "cannot read `lib`: is a folder"
        ]
    );
    assert_eq!(errors[0].label.as_deref(), Some("did you mean `lib/a.sh`?"));
}
