//! What the chores say to the person who runs them.

use std::fmt::Display;

/// Prints one line.
#[expect(clippy::print_stdout, reason = "a chore talks to the person at the terminal")]
pub(crate) fn say(line: impl Display) {
    println!("{line}");
}

/// Prints `rows` under `heads` as columns of equal width.
pub(crate) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) {
    let mut widths = heads.map(|head| head.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say(padded.join("  ").trim_end());
    };
    line(heads);
    say("-".repeat(widths.iter().sum::<usize>() + 2 * (N - 1)));
    for row in rows {
        line(row.each_ref().map(String::as_str));
    }
}
