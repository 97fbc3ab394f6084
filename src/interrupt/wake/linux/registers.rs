//! The registers of an interrupted thread, on the two processors that are supported: 64 bits each, as usize has there.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "64 bits, and constants that name registers"
)]

/// As the kernel saved them for a signal handler.
pub(super) struct Registers<'a>(&'a mut libc::mcontext_t);

impl Registers<'_> {
    /// # Safety
    /// `context` is the third argument of a handler installed with `SA_SIGINFO`, which has not returned.
    pub(super) unsafe fn of(context: *mut libc::c_void) -> Self {
        // SAFETY: as asked of the caller.
        Self(unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext })
    }
}

/// The system call that a signal has met, as far as the registers tell.
pub(super) struct Met {
    /// None where the kernel has put "interrupted" in its place.
    pub(super) number: Option<i64>,
    /// On aarch64 the first may be lost.
    pub(super) arguments: [u64; 6],
    /// Where the program goes on behind the call.
    pub(super) pc: usize,
}

/// Whether the instruction at `place` calls the system. Asked only for the one that comes next or was the last one, and not where
/// that may be on another page, which need not be there.
fn is_call_at(place: usize) -> bool {
    #[cfg(target_arch = "x86_64")]
    const CALL: &[u8] = &[0x0f, 0x05];
    #[cfg(target_arch = "aarch64")]
    const CALL: &[u8] = &0xd400_0001_u32.to_le_bytes();
    const PAGE: usize = 4096;
    let fits = place % PAGE + CALL.len() <= PAGE;
    // SAFETY: on a page of the program that runs.
    fits && unsafe { std::slice::from_raw_parts(place as *const u8, CALL.len()) } == CALL
}

#[cfg(target_arch = "x86_64")]
impl Registers<'_> {
    /// Whether the thread was in system call `number`, called before `pc` with the stack at `sp`: it is about to return
    /// "interrupted", or to begin again (two bytes earlier: the instruction `syscall`).
    pub(super) fn were_interrupted_at(&self, pc: usize, sp: usize, number: usize) -> bool {
        let (at, stack, result) = (
            self.get(libc::REG_RIP),
            self.get(libc::REG_RSP),
            self.get(libc::REG_RAX),
        );
        let interrupted = at == pc && result == (-(libc::EINTR as isize)).cast_unsigned();
        let restarted = at == pc - 2 && result == number;
        stack == sp && (interrupted || restarted)
    }

    /// The system call that was interrupted, or is about to begin; None where the thread is elsewhere.
    pub(super) fn met(&self) -> Option<Met> {
        let (at, result) = (self.get(libc::REG_RIP), self.get(libc::REG_RAX));
        let (number, pc) = if is_call_at(at) {
            (Some(i64::try_from(result).ok()?), at + 2)
        } else {
            let was_call = at % 4096 >= 2 && is_call_at(at - 2);
            let interrupted = result == (-(libc::EINTR as isize)).cast_unsigned();
            (was_call && interrupted).then_some((None, at))?
        };
        let registers = [
            libc::REG_RDI,
            libc::REG_RSI,
            libc::REG_RDX,
            libc::REG_R10,
            libc::REG_R8,
            libc::REG_R9,
        ];
        Some(Met {
            number,
            arguments: registers.map(|register| self.get(register) as u64),
            pc,
        })
    }

    /// Go on behind the call, with this result.
    pub(super) fn return_from(&mut self, pc: usize, result: usize) {
        self.set(libc::REG_RIP, pc);
        self.set(libc::REG_RAX, result);
    }

    fn get(&self, register: i32) -> usize {
        self.0.gregs[register as usize].cast_unsigned() as usize
    }

    fn set(&mut self, register: i32, value: usize) {
        self.0.gregs[register as usize] = (value as u64).cast_signed();
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers<'_> {
    /// Whether the thread was in system call `number`, called before `pc` with the stack at `sp`: it is about to return
    /// "interrupted", or to begin again (four bytes earlier: the instruction `svc`). The number stays in x8.
    pub(super) fn were_interrupted_at(&self, pc: usize, sp: usize, number: usize) -> bool {
        let (at, stack) = (self.0.pc as usize, self.0.sp as usize);
        let result = self.0.regs[0] as usize;
        let interrupted = at == pc && result == (-(libc::EINTR as isize)).cast_unsigned();
        let restarted = at == pc - 4 && self.0.regs[8] as usize == number;
        stack == sp && (interrupted || restarted)
    }

    /// The system call that was interrupted, or is about to begin; None where the thread is elsewhere.
    pub(super) fn met(&self) -> Option<Met> {
        let (at, result) = (self.0.pc as usize, self.0.regs[0] as usize);
        let pc = if is_call_at(at) {
            at + 4
        } else {
            let was_call = at % 4096 >= 4 && is_call_at(at - 4);
            let interrupted = result == (-(libc::EINTR as isize)).cast_unsigned();
            (was_call && interrupted).then_some(at)?
        };
        let mut arguments = [0; 6];
        arguments.copy_from_slice(&self.0.regs[..6]);
        Some(Met {
            number: Some(i64::try_from(self.0.regs[8]).ok()?),
            arguments,
            pc,
        })
    }

    /// Go on behind the call, with this result.
    pub(super) fn return_from(&mut self, pc: usize, result: usize) {
        self.0.pc = pc as u64;
        self.0.regs[0] = result as u64;
    }
}
