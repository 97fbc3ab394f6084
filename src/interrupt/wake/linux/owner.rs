//! Whose code has made the system call that a thread waits in, as far as that matters: whether a signal is known to do it no harm.
//!
//! The function of the C library that makes the call was called by somebody, and where that goes on lies right above on the
//! thread's stack. So the stack is read, from the stack pointer on, as words: the first one that points into code which is not
//! that of a language's run time names the file. A word that was left there by an earlier call may name the wrong one. Where that is an
//! unknown one, nothing is done, as ever; and that a known one hides one that must not be touched is ruled out by looking for
//! those further up.

use std::fs::File;
use std::io::Read;

use pyo3::ffi;

/// How much of the stack is read: the C library's own frames are small.
const WORDS: usize = 256;

/// Files whose waits a signal was seen to end without harm, by how their names begin.
///
/// | file | what it makes of `EINTR` | how that was seen |
/// |---|---|---|
/// | libffi, `_ctypes`, `_cffi_backend` | nothing: the caller is Python code, which gets -1 (or what is left of a sleep) and raises the kill | `tests/kill/test_nudge.py` |
/// | libzmq and pyzmq's extensions | libzmq returns `EINTR`, and pyzmq lets Python look for signals and begins again | there, and 8 kinds by hand; the socket goes on |
///
/// Python itself is known as well (PEP 475). Not here on purpose: libpq (goes on waiting; psycopg's own C code looks for signals
/// from `CPython` 3.15 on, and is left in the middle of a query), libhdf5 and duckdb (no use), libmysqlclient (an interrupted
/// wait of old versions is a lost connection), and whatever nobody has tried.
const KNOWN: [&str; 8] = [
    "libffi",
    "_ctypes.",
    "_cffi_backend.",
    "libzmq",
    "_zmq.",
    "_device.",
    "_proxy_steerable.",
    "_poll.",
];

/// Files in whose waits a thread is left alone, wherever on the stack they are seen: by what is in their names, or by their folders'.
const NEVER: [&str; 11] = [
    "libpq",
    "psycopg",
    "psycopg_c",
    "psycopg_binary",
    "hdf5",
    "h5py",
    "duckdb",
    "mysql",
    "mariadb",
    "libclntsh",
    "grpc",
];

/// The run times of C and C++, which call the system for others: by how their files' names begin.
const RUN_TIME: [&str; 10] = [
    "libc.so",
    "libc-2.",
    "libpthread",
    "ld-linux",
    "ld-musl",
    "libc.musl",
    "libstdc++.",
    "libc++",
    "libgcc_s",
    "libm.so",
];

/// Whether a signal does no harm to whoever waits with the stack at `sp`. False where that cannot be told.
///
/// Reads what the kernel says of this process's memory: only for a thread that waits in a call which a signal would end.
pub(super) fn is_known(sp: usize) -> bool {
    let mut stack = [0_usize; WORDS];
    let read = read_memory(sp, &mut stack);
    let Some(maps) = maps() else {
        return false;
    };
    // Words of ours are left on every worker's stack, below its job's.
    let own = is_known as *const () as usize;
    let python = ffi::PyEval_GetFrame as *const () as usize;
    let code: Vec<Code<'_>> = maps.lines().filter_map(Code::parse).collect();
    let files: Vec<_> = stack[..read]
        .iter()
        .filter_map(|word| code.iter().find(|code| code.has(*word)))
        .collect();
    let is_one = |code: &&&Code<'_>, names: &[&str]| {
        names.iter().any(|start| code.name().starts_with(start))
    };
    let is_never = |code: &&Code<'_>| {
        NEVER
            .iter()
            .any(|part| code.name().contains(part) || code.folder() == *part)
    };
    let owner = files
        .iter()
        .find(|code| !code.path.starts_with('[') && !code.has(own) && !is_one(code, &RUN_TIME));
    owner.is_some_and(|code| {
        let is_python = code.has(python)
            || code.path.contains("/lib-dynload/")
            || code.path.contains("/libpython");
        is_python || is_one(&code, &KNOWN)
    }) && !files.iter().any(is_never)
}

/// Code of one file in memory.
struct Code<'a> {
    start: usize,
    end: usize,
    path: &'a str,
}

impl<'a> Code<'a> {
    /// A line as `7f00-7f10 r-xp 00000000 fe:00 1234   /usr/lib/libc.so.6`; None where that is no code, or nobody's.
    fn parse(line: &'a str) -> Option<Self> {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        if rest.as_bytes().get(2) != Some(&b'x') {
            return None;
        }
        let path = rest.find(['/', '[']).map(|at| &rest[at..])?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some(Self {
            start: number(start)?,
            end: number(end)?,
            path,
        })
    }

    fn has(&self, word: usize) -> bool {
        (self.start..self.end).contains(&word)
    }

    fn folder(&self) -> &str {
        self.path.rsplit('/').nth(1).unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

fn maps() -> Option<String> {
    let mut text = String::new();
    let mut file = File::open("/proc/self/maps").ok()?;
    file.read_to_string(&mut text).ok()?;
    Some(text)
}

/// How many words of this process's memory were read, from `place` on. The kernel reads them, so memory that is not there is no
/// fault; and what another thread writes there meanwhile is seen or not.
fn read_memory(place: usize, words: &mut [usize]) -> usize {
    const WORD: usize = size_of::<usize>();
    // SAFETY: one buffer of ours that is written to, and a range that the kernel looks at before it reads it.
    let read = unsafe {
        let ours = libc::iovec {
            iov_base: words.as_mut_ptr().cast(),
            iov_len: size_of_val(words),
        };
        let theirs = libc::iovec {
            iov_base: place as *mut libc::c_void,
            iov_len: size_of_val(words),
        };
        libc::process_vm_readv(libc::getpid(), &raw const ours, 1, &raw const theirs, 1, 0)
    };
    usize::try_from(read).unwrap_or(0) / WORD
}
