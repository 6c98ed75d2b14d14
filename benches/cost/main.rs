//! What fab-rs costs, beside raw `ssh` on the same hosts: `cargo lab bench`. The tables it prints are those of
//! docs/performance.md.
//!
//! CPU seconds (user and system, of the whole process tree) are compared, not wall time: the servers run on
//! the same cores. A and B take turns, since a busy machine makes both dear alike; medians are printed.
//!
//! Not its job: how the figures are taken (`usage`), what runs where (`ground`).
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own: it prints tables, reads its words from the environment and waits between samples"
)]

mod ground;
mod usage;

use std::process::Command;

use anyhow::{Result, bail};

use ground::{Ground, Kex};
use usage::{Usage, median, run};

/// What can be chosen on the command line.
struct Choice {
    hosts: usize,
    rounds: usize,
    /// Parts to measure; empty means all.
    only: Vec<String>,
    /// fab-rs itself, where it is not the one just built.
    binary: String,
}

/// The parts by their names on the command line.
const PARTS: [&str; 6] = ["command", "default-kex", "steps", "lines", "plan", "memory"];

fn main() -> Result<()> {
    let Some(choice) = choice(std::env::args().skip(1))? else {
        println!("cost: starts many hosts, so it runs under `cargo bench` alone");
        return Ok(());
    };
    let ground = Ground::prepare(choice.hosts, choice.binary)?;
    let wanted = |part: &str| choice.only.is_empty() || choice.only.iter().any(|name| name == part);
    println!(
        "{} hosts, fan-out 32, {} rounds, medians; CPU seconds are user + system\n",
        choice.hosts, choice.rounds
    );
    if wanted("command") {
        command(&ground, Kex::Curve25519, choice.rounds)?;
    }
    if wanted("default-kex") {
        command(&ground, Kex::Default, choice.rounds)?;
    }
    if wanted("steps") {
        steps(&ground, choice.rounds)?;
    }
    if wanted("lines") {
        lines(&ground, choice.rounds)?;
    }
    if wanted("plan") {
        plan(&ground, choice.rounds)?;
    }
    if wanted("memory") {
        memory(&ground)?;
    }
    Ok(())
}

/// Reads the command line; `None` without Cargo's `--bench`.
fn choice(mut words: impl Iterator<Item = String>) -> Result<Option<Choice>> {
    let mut choice = Choice {
        hosts: 200,
        rounds: 7,
        only: Vec::new(),
        binary: env!("CARGO_BIN_EXE_fab-rs").to_owned(),
    };
    let mut benched = false;
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_default();
        match word.as_str() {
            "--bench" => benched = true,
            "--hosts" => choice.hosts = value().parse()?,
            "--rounds" => choice.rounds = value().parse()?,
            "--binary" => choice.binary = value(),
            part if PARTS.contains(&part) => choice.only.push(word),
            _ => bail!(
                "`{word}` is neither a part ({}) nor `--hosts N`, `--rounds N`, `--binary FILE`",
                PARTS.join(", ")
            ),
        }
    }
    Ok(benched.then_some(choice))
}

/// Runs both in turns, so often, and prints a table with the ratio of B to A, which is taken pair by pair.
fn compare(
    rounds: usize,
    (name_a, a): (&str, &dyn Fn() -> Result<Usage>),
    (name_b, b): (&str, &dyn Fn() -> Result<Usage>),
) -> Result<()> {
    let mut pairs = Vec::new();
    for _ in 0..rounds {
        pairs.push((a()?, b()?));
    }
    println!("| | CPU s | user | system | wall s | MiB |\n|---|---|---|---|---|---|");
    for (name, side) in [(name_a, 0), (name_b, 1)] {
        let of = |figure: fn(&Usage) -> f64| {
            median(
                pairs
                    .iter()
                    .map(|pair| figure(if side == 0 { &pair.0 } else { &pair.1 })),
            )
        };
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} | {:.1} | {:.0} |",
            of(Usage::cpu),
            of(|usage| usage.user),
            of(|usage| usage.system),
            of(|usage| usage.wall),
            of(|usage| usage.peak_mib),
        );
    }
    let mut ratios: Vec<f64> = pairs.iter().map(|(a, b)| b.cpu() / a.cpu()).collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "\nratio {:.2} (rounds: {:.2} to {:.2})\n",
        median(ratios.iter().copied()),
        ratios[0],
        ratios[ratios.len() - 1]
    );
    Ok(())
}

/// One command on every host.
fn command(ground: &Ground, kex: Kex, rounds: usize) -> Result<()> {
    println!(
        "### `true` on {} hosts, key exchange {kex}\n",
        ground.count()
    );
    let raw = || run(ground.ssh_loop(kex), Some(&ground.names()));
    let fab = || run(ground.fab(kex, &["run", "role=app", "--", "true"]), None);
    compare(rounds, ("ssh in a loop", &raw), ("fab-rs run", &fab))
}

/// Five steps beside one.
fn steps(ground: &Ground, rounds: usize) -> Result<()> {
    println!(
        "### a task of five steps beside one of one, {} hosts\n",
        ground.count()
    );
    let task =
        |name: &'static str| move || run(ground.fab(Kex::Curve25519, &[name, "role=app"]), None);
    compare(
        rounds,
        ("one step", &task("one")),
        ("five steps", &task("five")),
    )
}

/// Two million lines of output.
fn lines(ground: &Ground, rounds: usize) -> Result<()> {
    println!("### 100,000 lines from each of 20 hosts, into a file\n");
    let program = "seq -f 'line %.0f of what a service has to say' 100000";
    let raw = || ground.counted(ground.ssh_sed(program), Some(&ground.first(20).join("\n")));
    let hosts = ground.first(20).join(",");
    let fab = || {
        ground.counted(
            ground.fab(Kex::Curve25519, &["run", "-H", &hosts, "--", program]),
            None,
        )
    };
    compare(rounds, ("ssh + sed", &raw), ("fab-rs run", &fab))
}

/// A plan, which connects to nobody.
fn plan(ground: &Ground, rounds: usize) -> Result<()> {
    println!("### planning only (no connection)\n");
    println!("| hosts | CPU s | wall s | MiB |\n|---|---|---|---|");
    for count in [1, 1000] {
        let inventory = ground.paper_inventory(count)?;
        let mut taken = Vec::new();
        for _ in 0..rounds {
            let mut command = ground.fab_with(&inventory);
            command.args(["plan", "heapdump", "role=app"]);
            taken.push(run(command, None)?);
        }
        let of = |figure: fn(&Usage) -> f64| median(taken.iter().map(figure));
        println!(
            "| {count} | {:.2} | {:.2} | {:.0} |",
            of(Usage::cpu),
            of(|usage| usage.wall),
            of(|usage| usage.peak_mib)
        );
    }
    println!();
    Ok(())
}

/// What all connections take that are open at once.
fn memory(ground: &Ground) -> Result<()> {
    let count = ground.count();
    println!("### memory with {count} connections open at once\n");
    let fanout = count.to_string();
    let words = ["run", "role=app", "-z", &fanout, "--", "sleep 20"];
    let mut command: Command = ground.fab(Kex::Curve25519, &words);
    let (own, masters) = usage::open_connections(&mut command, count)?;
    println!("| | MiB |\n|---|---|\n| fab-rs | {own:.0} |");
    let each = masters / f64::from(u32::try_from(count)?);
    println!("| {count} ssh masters | {masters:.0} ({each:.1} each) |\n");
    Ok(())
}
