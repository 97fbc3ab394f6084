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

    /// Go on behind the call, with this result.
    pub(super) fn return_from(&mut self, pc: usize, result: usize) {
        self.0.pc = pc as u64;
        self.0.regs[0] = result as u64;
    }
}
