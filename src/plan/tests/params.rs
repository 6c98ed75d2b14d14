//! Params and vars of a plan.

use super::*;

#[test]
fn params_and_vars_are_rendered_per_host() {
    let mut hosts = tagged(&fleet(&[("a", 2)]), &[("service", "api")]);
    hosts.extend(tagged(&fleet(&[("b", 1)]), &[("service", "web")]));
    let plan = Given::new(RESTART).on(hosts).planned();
    assert_eq!(
        runs(&plan, "a1"),
        [
            "run: systemctl restart api.service (sudo)",
            "run: echo 'api' > /tmp/x",
            "run: hostname"
        ]
    );
    assert_eq!(
        runs(&plan, "b1")[0],
        "run: systemctl restart web.service (sudo)"
    );
    assert_eq!(
        plan.lock.as_ref().unwrap().to_string(),
        "restart/api/-,restart/web/-"
    );
    assert!(!plan.params.contains_key("service"));
    assert_eq!(json(&plan)["host_params"]["b1"], json!({"service": "web"}));
    assert_eq!(plan.params["port"], ParamValue::Int(8080));
}

#[test]
fn hosts_that_look_alike_share_their_steps() {
    let hosts = tagged(&fleet(&[("a", 2)]), &[("service", "api")]);
    let plan = Given::new(RESTART).on(hosts).planned();
    let planned: Vec<_> = plan.phases[0].in_order().collect();
    assert!(Arc::ptr_eq(&planned[0].steps, &planned[1].steps));
    assert!(Arc::ptr_eq(&planned[0].params, &planned[1].params));
}

#[test]
fn a_missing_tag_is_an_error_that_names_its_hosts() {
    let mut hosts = tagged(&fleet(&[("a", 1)]), &[("service", "api")]);
    hosts.extend(tagged(&fleet(&[("b", 3)]), &[("servce", "web")]));
    assert_eq!(
        Given::new(RESTART).on(hosts).errors(),
        [
            "host b1 has no tag `service` | tasks/t.yml:4:40 | default of param `service`, rendered for host b1 | did you mean `host.tags.servce`? | the same for b2, b3"
        ]
    );
}

#[test]
fn a_default_that_does_not_fit_names_the_host() {
    let hosts = tagged(&fleet(&[("a", 1)]), &[("service", "x; rm -rf /")]);
    let errors = Given::new(RESTART).on(hosts).errors();
    assert_eq!(
        errors,
        [
            "param `service`: `x; rm -rf /` does not match `[a-z]+` | tasks/t.yml:4:3 | rendered for host a1"
        ]
    );
}

#[test]
fn typed_params_win_over_defaults() {
    let plan = Given::new(RESTART).with("service", "db").planned();
    assert_eq!(
        runs(&plan, "b2")[0],
        "run: systemctl restart db.service (sudo)"
    );
    assert_eq!(plan.params["service"], ParamValue::String("db".to_owned()));
}

#[test]
fn wrong_params_are_all_named() {
    let errors = Given::new(RESTART)
        .with("servic", "x")
        .with("port", "abc")
        .errors();
    assert_eq!(
        errors,
        [
            "task `restart` has no param `servic` | did you mean `service`?",
            "param `port`: `abc` is not a whole number",
        ]
    );
}

const SECRETS: &str = "\
task: secrets
kind: read
params:
  token: {type: string, secret: true, from: \"env:TOKEN\"}
  none: {type: string, secret: true, from: \"env:NONE\"}
  asked: {type: string, required: true}
  old: {type: string, default: x, deprecated: use new}
steps:
  - run: \"echo $FAB_PARAM_ASKED\"
";

#[test]
fn params_come_from_the_environment_and_from_people() {
    let plan = Given::new(SECRETS).with("old", "y").planned();
    assert_eq!(
        plan.params["asked"],
        ParamValue::String("answer".to_owned())
    );
    let shown: IndexMap<&str, String> = plan
        .params
        .iter()
        .map(|(name, value)| (name.as_str(), value.text()))
        .collect();
    let expected = [("token", "***"), ("asked", "answer"), ("old", "y")];
    assert_eq!(
        shown,
        expected.map(|(name, text)| (name, text.to_owned())).into()
    );
    assert_eq!(plan.warnings, ["param `old` is deprecated: use new"]);
    let scope = Scope::new(Arc::new(plan.params.clone()));
    let names: Vec<String> = scope
        .environment()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["FAB_PARAM_ASKED", "FAB_PARAM_OLD"]);
    let (name, secret) = &scope.secrets()[0];
    assert_eq!((name.as_str(), secret.expose()), ("TOKEN", "s3cr3t-t0ken"));
    assert_eq!(json(&plan)["params"]["token"], "***");
    assert!(!format!("{plan:?}").contains("s3cr3t"));
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let text = SECRETS.replace("from: \"env:NONE\"", "from: \"env:NONE\", required: true");
    assert_eq!(
        Given::new(&text).with("asked", "x").errors(),
        [
            "param `none` is required | it is taken from the environment: set `NONE` | put it into a file for `--params-file`"
        ]
    );
}

#[test]
fn a_secret_is_not_taken_from_a_command_line() {
    assert_eq!(
        Given::new(SECRETS).with("token", "hunter22").errors(),
        [
            "param `token` is a secret and cannot be given on a command line | every user of this machine can read command lines | leave it out to be asked for it, or put it into a file for `--params-file`"
        ]
    );
}

#[test]
fn a_params_file_gives_what_was_not_typed() {
    let mut given = Given::new(RESTART).with("port", "1");
    given.params.file = IndexMap::from([
        ("port".to_owned(), json!(2)),
        ("service".to_owned(), json!("db")),
    ]);
    let plan = given.planned();
    assert_eq!(plan.params["port"], ParamValue::Int(1));
    assert_eq!(plan.params["service"], ParamValue::String("db".to_owned()));
}

#[test]
fn targets_are_one_for_all_hosts() {
    let text = "\
task: zk
kind: read
params:
  ensemble: {type: string, required: true}
targets: \"zk_ensemble={{ params.ensemble }}\"
steps:
  - run: id
";
    let engine = engine();
    let given = GivenParams {
        typed: IndexMap::from([("ensemble".to_owned(), "z1".to_owned())]),
        ..GivenParams::default()
    };
    let zk = task("zk", text);
    let params = CommonParams::resolve(&zk, &given, &World, &engine).unwrap();
    assert_eq!(
        params.targets(&zk, &engine),
        Ok(vec!["zk_ensemble=z1".to_owned()])
    );
    let varying = task(
        "zk",
        &text.replace("required: true", "default: \"{{ host.tags.e }}\""),
    );
    let params = CommonParams::resolve(&varying, &GivenParams::default(), &World, &engine).unwrap();
    let errors = params.targets(&varying, &engine).unwrap_err();
    assert_eq!(
        said(&errors[0]),
        "`targets` reads `params.ensemble`, whose default differs between hosts | tasks/zk.yml:5:26 | give it: `ensemble=VALUE`"
    );
}
