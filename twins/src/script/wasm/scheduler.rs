//! MicroPython's own scheduler, as this build keeps it in an instance's memory: what it has to call at the next jump of bytecode.

use super::door::State;
use wasmi::{AsContextMut, Error, Memory};

/// Where this build of MicroPython keeps what its scheduler has to call between two jumps of bytecode: four pairs of a function
/// and its argument, how many of them are taken, which is the first, and whether any are looked for (1: none; 0: some).
const SCHEDULED: i32 = 185_300;
const SCHEDULED_MOST: u8 = 4;
const SCHEDULED_COUNT: i32 = 185_362;
const SCHEDULED_FIRST: i32 = 185_363;
const SCHEDULER_STATE: i32 = 185_360;
/// The number nought, as MicroPython keeps numbers.
const NOUGHT: i32 = 1;

/// Has the shim's turn called at the next jump of bytecode, as MicroPython's own scheduler does for timers and interrupts.
pub(super) fn schedule(mut ctx: impl AsContextMut<Data = State>) -> Result<(), Error> {
    let (memory, turn) = (ctx.as_context().data().memory, ctx.as_context().data().turn);
    let Some(memory) = memory.filter(|_| turn != 0) else { return Ok(()) };
    let wrong = |e: wasmi::errors::MemoryError| Error::new(e.to_string());
    let (mut one, mut word) = ([0; 1], [0; 4]);
    memory.read(&ctx, SCHEDULED_FIRST as usize, &mut one).map_err(wrong)?;
    let first = one[0];
    memory.read(&ctx, SCHEDULED_COUNT as usize, &mut one).map_err(wrong)?;
    let count = one[0];
    let place = |i: u8| SCHEDULED as usize + 8 * usize::from(first.wrapping_add(i) % SCHEDULED_MOST);
    for i in 0..count {
        memory.read(&ctx, place(i), &mut word).map_err(wrong)?;
        if i32::from_le_bytes(word) == turn {
            return Ok(());
        }
    }
    if count >= SCHEDULED_MOST {
        return Ok(());
    }
    memory.write(&mut ctx, place(count), &turn.to_le_bytes()).map_err(wrong)?;
    memory.write(&mut ctx, place(count) + 4, &NOUGHT.to_le_bytes()).map_err(wrong)?;
    memory.write(&mut ctx, SCHEDULED_COUNT as usize, &[count + 1]).map_err(wrong)?;
    look_there(ctx, memory)
}

/// Has the scheduler look at what it has to do.
pub(super) fn look_there(mut ctx: impl AsContextMut<Data = State>, memory: Memory) -> Result<(), Error> {
    let wrong = |e: wasmi::errors::MemoryError| Error::new(e.to_string());
    let mut state = [0; 2];
    memory.read(&ctx, SCHEDULER_STATE as usize, &mut state).map_err(wrong)?;
    if i16::from_le_bytes(state) == 1 {
        memory.write(&mut ctx, SCHEDULER_STATE as usize, &[0; 2]).map_err(wrong)?;
    }
    Ok(())
}
