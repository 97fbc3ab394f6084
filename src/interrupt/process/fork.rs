//! Starting a process on the other Unixes, by a fork.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::unix::open_descriptors;
use super::{Failure, Order};

pub(super) fn spawn(
    order: &Order,
    stdin: OwnedFd,
    output: OwnedFd,
) -> Result<libc::pid_t, Failure> {
    let mut argv = order.argv.iter();
    let mut command = if order.is_line {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c");
        shell
    } else {
        let program = argv.next().ok_or(io::ErrorKind::InvalidInput);
        Command::new(program.map_err(io::Error::from)?)
    };
    command.args(argv).env_clear();
    for (key, value) in &order.env {
        command.env(key, value);
    }
    if let Some(cwd) = &order.cwd {
        command.current_dir(cwd);
    }
    command
        .stdin(stdin)
        .stdout(output.try_clone()?)
        .stderr(output);
    let open = open_descriptors();
    // SAFETY: between fork and exec: system calls that are safe there, on numbers that were listed before. Closing at exec and
    // not at once: one of them is std's own, by which it tells of an error.
    unsafe {
        command.pre_exec(move || {
            libc::setsid();
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
            for number in &open {
                libc::fcntl(*number, libc::F_SETFD, libc::FD_CLOEXEC);
            }
            Ok(())
        });
    }
    match command.spawn() {
        Ok(child) => Ok(child.id().cast_signed()),
        Err(error) => {
            let cwd = order.cwd.as_ref();
            let cwd = cwd.filter(|cwd| std::fs::metadata(cwd).map_or(true, |cwd| !cwd.is_dir()));
            let path = cwd.map_or_else(
                || command.get_program().to_owned(),
                |cwd| cwd.clone().into_os_string(),
            );
            Err(Failure {
                error,
                path: Some(path),
            })
        }
    }
}
