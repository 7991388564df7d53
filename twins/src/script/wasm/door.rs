//! What an instance finds outside: the host functions by which MicroPython's C library writes, reads, jumps and asks the run.

use super::{
    SLICE,
    fs::{self, Open, errno},
    look::{Looks, convert, drive, level, listen, look, receive},
    scheduler::{look_there, schedule},
    spin::{Next, Spin},
};
use crate::script::guest::Went;
use fs::Flash;
use rand::RngExt;
use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, Sender},
};
use twinfleet_engine::rng::Rng;
use wasmi::{
    AsContext, AsContextMut, Caller, Engine, Error, ExternType, Func, Linker, Memory, Module, Ref,
    ResumableCall, Val,
};

/// Where this build of MicroPython counts the calls from outside that are under way. Within one it collects no garbage, as it
/// cannot see what C's local variables hold; a script's whole life is one call. The shim asks for a collection where it waits,
/// between two lines of Python, when all that lives is in Python's own frames: then this count is set to none.
const CALLS_UNDER_WAY: i32 = 186_120;
/// Where it keeps an exception to raise at the next jump of bytecode.
const PENDING_EXCEPTION: i32 = 185_148;
/// A page of an instance's memory, [bytes].
const WASM_PAGE_BYTES: usize = 64 << 10;
/// What is told of a line that a script prints, [bytes].
const PRINTED: usize = 4096;
/// A byte at 115,200 baud, [ns].
const CONSOLE_BYTE_NS: u64 = 86_806;
/// Most news that wait for a turn.
const NEWS: usize = 1_024;

/// A jump out of C, as emscripten means it: caught by the next `invoke_`.
#[derive(Debug)]
struct LongJump;
impl std::fmt::Display for LongJump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a jump that nobody caught")
    }
}
impl wasmi::errors::HostError for LongJump {}

/// The run wants no more of this instance, or the script has ended.
#[derive(Debug)]
pub(super) struct Stop;
impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}
impl wasmi::errors::HostError for Stop {}

/// What an instance's host functions work on.
pub(super) struct State {
    pub flash: Flash,
    pub line: Vec<u8>,
    pub answer: Vec<u8>,
    /// To and from the device's turn; none while a picture is made.
    pub run: Option<(Sender<Went>, Receiver<String>)>,
    pub dice: Rng,
    pub base_ns: u64,
    /// Fuel spent until then.
    pub base_spent: u64,
    /// Fuel that was given.
    pub given: u64,
    pub ns_per_fuel: f64,
    pub epoch_ns: i64,
    pub console: Vec<u8>,
    /// Whether it was interrupted, and what does so.
    pub stuck: bool,
    pub interrupt: Option<Func>,
    /// Twelve bytes of the instance's memory for results that nobody looks at.
    pub scratch: i32,
    /// The instance's memory.
    pub memory: Option<Memory>,
    /// The shim's function for turns between two jumps of bytecode: timers, garbage. 0: none yet.
    pub turn: i32,
    /// Pages by which the memory may grow, for garbage that is collected at the next turn.
    pub room: u64,
    /// What the script looks at.
    pub looks: Looks,
    /// What came while it computed, for its next turn.
    pub news: VecDeque<String>,
    /// When its first timer is due, [ns]; none: never.
    pub due_ns: Option<u64>,
    /// When its watchdog bites, [ns].
    pub bites_ns: Option<u64>,
    /// When this life began, [ns]: ticks count from there.
    pub born_ns: u64,
    /// What it has asked, or done, outside its memory.
    pub asked: u64,
    pub spin: Spin,
}

pub(super) fn spent(ctx: &impl AsContext<Data = State>) -> u64 {
    let ctx = ctx.as_context();
    ctx.data().given - ctx.get_fuel().unwrap_or(0)
}

pub(super) fn now_ns(ctx: &impl AsContext<Data = State>) -> u64 {
    let spent = spent(ctx);
    let state = ctx.as_context();
    let state = state.data();
    state.base_ns + ((spent - state.base_spent) as f64 * state.ns_per_fuel) as u64
}

/// One question to the run.
pub(super) fn ask(mut ctx: impl AsContextMut<Data = State>, words: &str) -> Result<String, Error> {
    let (now, at) = (now_ns(&ctx), spent(&ctx));
    let mut context = ctx.as_context_mut();
    let state = context.data_mut();
    match words.split(' ').next() {
        // Of the latter two the answer tells whether anything has changed.
        Some("tick" | "in" | "adc" | "recv" | "uartr") => {}
        Some("out") => state.looks.acted(),
        _ => state.looks.asked_else(),
    }
    let Some((to, from)) = &state.run else { return Ok("ok".to_owned()) };
    if to.send(Went::Asked(format!("{now} {words}"))).is_err() {
        return Err(Error::host(Stop));
    }
    let Ok(answer) = from.recv() else { return Err(Error::host(Stop)) };
    let (time, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
    state.base_ns = time.parse().unwrap_or(now);
    state.base_spent = at;
    state.looks.told(state.base_ns);
    Ok(rest.to_owned())
}

/// Tells the run that the script computes, looks or goes round in circles, and takes in what has come meanwhile. Whether it is
/// stuck.
pub(super) fn tick(ctx: &mut impl AsContextMut<Data = State>, circle: bool) -> Result<bool, Error> {
    let mut context = ctx.as_context_mut();
    let state = context.data_mut();
    let words = if state.looks.take_looked() {
        "tick looked".to_owned()
    } else {
        let due_ns = state.due_ns.unwrap_or(u64::MAX);
        // For its watchdog only one who can do nothing else waits.
        let bites_ns = state.bites_ns.filter(|_| circle).unwrap_or(u64::MAX);
        format!("tick {} {}", if circle { "circle" } else { "busy" }, due_ns.min(bites_ns))
    };
    loop {
        let answer = ask(&mut *ctx, &words)?;
        if answer == "stuck" {
            return Ok(true);
        }
        let Some(what) = answer.strip_prefix("ok ") else { break };
        let mut context = ctx.as_context_mut();
        let news = &mut context.data_mut().news;
        if news.len() < NEWS {
            news.push_back(what.to_owned());
        }
    }
    schedule(&mut *ctx)?;
    ctx.as_context_mut().data_mut().looks.turned();
    Ok(false)
}

/// Calls a function of the instance, giving it fuel slice by slice.
pub(super) fn call(
    mut ctx: impl AsContextMut<Data = State>,
    func: Func,
    params: &[Val],
    results: &mut [Val],
) -> Result<(), Error> {
    let mut went = func.call_resumable(ctx.as_context_mut(), params, results)?;
    loop {
        went = match went {
            ResumableCall::Finished => return Ok(()),
            ResumableCall::HostTrap(trap) => return Err(trap.into_host_error()),
            ResumableCall::OutOfFuel(out) => {
                refuel(ctx.as_context_mut(), out.required_fuel())?;
                out.resume(ctx.as_context_mut(), results)?
            }
        };
    }
}

/// A slice is used up: it is looked at what the script does, time passes, and one that is stuck is interrupted where it is.
fn refuel(mut ctx: impl AsContextMut<Data = State>, least: u64) -> Result<(), Error> {
    let next = {
        let mut context = ctx.as_context_mut();
        let memory = context.data().memory;
        match memory.filter(|_| context.data().run.is_some()) {
            Some(memory) => {
                let (bytes, state) = memory.data_and_store_mut(&mut context);
                let asked = state.asked;
                state.spin.next(bytes, asked)
            }
            None => Next::Busy,
        }
    };
    let more = if let Next::Look(fuel) = next { fuel } else { SLICE }.max(least);
    {
        let mut context = ctx.as_context_mut();
        let left = context.get_fuel()?;
        context.set_fuel(left + more)?;
        context.data_mut().given += more;
    }
    if ctx.as_context().data().run.is_none() || matches!(next, Next::Look(_)) {
        return Ok(());
    }
    pass(&mut ctx, next == Next::Circle)
}

/// Time has passed without a question: the run is told, and who is stuck is interrupted where it is.
fn pass(ctx: &mut impl AsContextMut<Data = State>, circle: bool) -> Result<(), Error> {
    if !tick(ctx, circle)? {
        return Ok(());
    }
    if ctx.as_context().data().stuck {
        // It has caught the interrupt and goes on.
        let text = crate::script::machine::hex(*b"it was interrupted, caught that, and goes on");
        let _ = ask(&mut *ctx, &format!("end stuck {text}"))?;
        return Err(Error::host(Stop));
    }
    ctx.as_context_mut().data_mut().stuck = true;
    // As Ctrl-C does it: MicroPython raises KeyboardInterrupt at the next jump of its bytecode.
    let interrupt = ctx.as_context().data().interrupt;
    match interrupt {
        Some(interrupt) => call(ctx.as_context_mut(), interrupt, &[], &mut []),
        None => Ok(()),
    }
}

/// More memory for a heap that is full of garbage, as long as there is room; it is collected at the next turn.
fn grow(mut caller: Caller<'_, State>, wanted: i32) -> Result<i32, Error> {
    let memory = memory(&caller)?;
    let more = (wanted as u32 as usize).saturating_sub(memory.data_size(&caller));
    let pages = more.div_ceil(WASM_PAGE_BYTES) as u64;
    if pages > caller.data().room || memory.grow(&mut caller, pages).is_err() {
        return Ok(0);
    }
    caller.data_mut().room -= pages;
    schedule(&mut caller)?;
    Ok(1)
}

fn memory(caller: &Caller<'_, State>) -> Result<Memory, Error> {
    let found = caller.get_export("memory").and_then(wasmi::Extern::into_memory);
    found.ok_or_else(|| Error::new("no memory"))
}

fn text_at(caller: &Caller<'_, State>, at: i32) -> Result<String, Error> {
    let memory = memory(caller)?;
    let bytes = memory.data(caller).get(at as u32 as usize..).unwrap_or_default();
    let end = bytes.iter().take(4096).position(|b| *b == 0).unwrap_or(0);
    Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

fn put(caller: &mut Caller<'_, State>, at: i32, bytes: &[u8]) -> Result<(), Error> {
    let memory = memory(caller)?;
    memory.write(caller, at as u32 as usize, bytes).map_err(|e| Error::new(e.to_string()))
}

fn word(caller: &Caller<'_, State>, at: i32) -> Result<i32, Error> {
    let memory = memory(caller)?;
    let mut bytes = [0; 4];
    memory.read(caller, at as u32 as usize, &mut bytes).map_err(|e| Error::new(e.to_string()))?;
    Ok(i32::from_le_bytes(bytes))
}

/// musl's `struct stat`, as emscripten lays it out.
fn put_stat(caller: &mut Caller<'_, State>, at: i32, stat: Result<fs::Stat, i32>) -> Result<i32, Error> {
    let (dir, length) = match stat {
        Ok(stat) => stat,
        Err(e) => return Ok(-e),
    };
    let mut bytes = [0u8; 96];
    let mode: u32 = if dir { 0o040_777 } else { 0o100_666 };
    bytes[4..8].copy_from_slice(&mode.to_le_bytes());
    bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
    bytes[24..32].copy_from_slice(&(length as u64).to_le_bytes());
    bytes[32..36].copy_from_slice(&4096u32.to_le_bytes());
    put(caller, at, &bytes)?;
    Ok(0)
}

/// `invoke_…`: calls through the table, and catches a jump.
fn invoke(caller: &mut Caller<'_, State>, params: &[Val], results: &mut [Val]) -> Result<(), Error> {
    let export = |caller: &Caller<'_, State>, name: &str| {
        caller.get_export(name).and_then(wasmi::Extern::into_func).ok_or_else(|| Error::new("no such export"))
    };
    let index = params[0].i32().unwrap_or(-1);
    let table = caller.get_export("__indirect_function_table").and_then(wasmi::Extern::into_table);
    let table = table.ok_or_else(|| Error::new("no table"))?;
    let Some(Ref::Func(func)) = table.get(&*caller, index as u32 as u64) else {
        return Err(Error::new("no such function"));
    };
    let Some(func) = func.val().copied() else { return Err(Error::new("no such function")) };
    let mut stack = [Val::I32(0)];
    let current = export(caller, "emscripten_stack_get_current")?;
    call(&mut *caller, current, &[], &mut stack)?;
    match call(&mut *caller, func, &params[1..], results) {
        Err(e) if e.downcast_ref::<LongJump>().is_some() => {
            let restore = export(caller, "_emscripten_stack_restore")?;
            call(&mut *caller, restore, &stack, &mut [])?;
            let threw = export(caller, "setThrew")?;
            call(&mut *caller, threw, &[Val::I32(1), Val::I32(0)], &mut [])?;
            for r in results {
                *r = Val::I32(0);
            }
            Ok(())
        }
        other => other,
    }
}

/// The bytes of an iovec list.
fn gathered(caller: &Caller<'_, State>, iov: i32, count: i32) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    for i in 0..count {
        let (at, n) =
            (word(caller, iov + 8 * i)? as u32 as usize, word(caller, iov + 8 * i + 4)? as u32 as usize);
        let memory = memory(caller)?;
        all.extend_from_slice(memory.data(caller).get(at..at + n).unwrap_or_default());
    }
    Ok(all)
}

/// Collects garbage: an empty text is run as if from outside, at whose beginning MicroPython does so.
fn collect(caller: &mut Caller<'_, State>) -> Result<String, Error> {
    let exec = caller.get_export("mp_js_do_exec").and_then(wasmi::Extern::into_func);
    let exec = exec.ok_or_else(|| Error::new("no such export"))?;
    let (calls, scratch) = (word(caller, CALLS_UNDER_WAY)?, caller.data().scratch);
    put(caller, CALLS_UNDER_WAY, &[0; 4])?;
    call(&mut *caller, exec, &[Val::I32(scratch), Val::I32(0), Val::I32(scratch)], &mut [])?;
    put(caller, CALLS_UNDER_WAY, &calls.to_le_bytes())?;
    Ok("ok".to_owned())
}

fn fd_write(mut caller: Caller<'_, State>, fd: i32, iov: i32, count: i32, wrote: i32) -> Result<i32, Error> {
    let bytes = gathered(&caller, iov, count)?;
    caller.data_mut().asked += 1;
    match caller.data().flash.opened(fd).cloned() {
        Some(Open::Console) => {
            caller.data_mut().console.extend_from_slice(&bytes);
            while let Some(end) = caller.data().console.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = caller.data_mut().console.drain(..=end).collect();
                let line = &line[..line.len() - 1];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let said = crate::script::machine::hex(line.iter().copied().take(PRINTED));
                ask(&mut caller, &format!("say {said}"))?;
            }
            // Of a line that has no end it keeps what will be told of it; the rest takes the time of a serial console.
            let state = caller.data_mut();
            let over = state.console.len().saturating_sub(PRINTED) as u64;
            state.base_ns += over * CONSOLE_BYTE_NS;
            state.console.truncate(PRINTED);
            if over > 0 {
                pass(&mut caller, false)?;
            }
        }
        Some(Open::World) => {
            caller.data_mut().line.extend_from_slice(&bytes);
            if caller.data().line.last() == Some(&b'\n') {
                let line = std::mem::take(&mut caller.data_mut().line);
                let words = String::from_utf8_lossy(&line).trim_end().to_owned();
                let answer = match words.as_str() {
                    "now" => format!("ok {} {}", now_ns(&caller), caller.data().epoch_ns),
                    "look" => format!("ok {} {}", look(&mut caller)?, caller.data().epoch_ns),
                    "born" => {
                        let now = now_ns(&caller);
                        caller.data_mut().born_ns = now;
                        "ok".to_owned()
                    }
                    "news" => caller
                        .data_mut()
                        .news
                        .pop_front()
                        .map_or("ok".to_owned(), |what| format!("ok {what}")),
                    own if own.starts_with("in ") => level(&mut caller, own)?,
                    own if own.starts_with("out ") => drive(&mut caller, own)?,
                    own if own.starts_with("adc ") => convert(&mut caller, own)?,
                    own if own.starts_with("recv ") => receive(&mut caller, own)?,
                    own if own.starts_with("uartr ") => listen(&mut caller, own)?,
                    own if own.starts_with("due ") => {
                        let (due, bites) = own[4..].split_once(' ').unwrap_or_default();
                        let state = caller.data_mut();
                        (state.due_ns, state.bites_ns) = (due.parse().ok(), bites.parse().ok());
                        "ok".to_owned()
                    }
                    // What came while it computed ends its wait at once.
                    own if own.starts_with("wait ") && !caller.data().news.is_empty() => caller
                        .data_mut()
                        .news
                        .pop_front()
                        .map_or("ok".to_owned(), |what| format!("ok {what}")),
                    "gc" => collect(&mut caller)?,
                    own if own.starts_with("turn ") => {
                        caller.data_mut().turn = own[5..].parse().unwrap_or(0);
                        "ok".to_owned()
                    }
                    own if own.starts_with("raise ") => {
                        let error: i32 = own[6..].parse().unwrap_or(0);
                        put(&mut caller, PENDING_EXCEPTION, &error.to_le_bytes())?;
                        let memory = memory(&caller)?;
                        look_there(&mut caller, memory)?;
                        "ok".to_owned()
                    }
                    _ => ask(&mut caller, &words)?,
                };
                caller.data_mut().answer = format!("{answer}\n").into_bytes();
            }
        }
        Some(Open::File { .. }) => {
            if let Err(e) = caller.data_mut().flash.write(fd, &bytes) {
                return Ok(e);
            }
        }
        _ => return Ok(errno::BADF),
    }
    put(&mut caller, wrote, &(bytes.len() as u32).to_le_bytes())?;
    Ok(0)
}

fn fd_read(mut caller: Caller<'_, State>, fd: i32, iov: i32, count: i32, got: i32) -> Result<i32, Error> {
    let mut total = 0u32;
    caller.data_mut().asked += 1;
    for i in 0..count {
        let (at, n) = (word(&caller, iov + 8 * i)?, word(&caller, iov + 8 * i + 4)? as u32 as usize);
        let bytes = match caller.data().flash.opened(fd) {
            Some(Open::World) => {
                let answer = &mut caller.data_mut().answer;
                let n = n.min(answer.len());
                answer.drain(..n).collect()
            }
            Some(Open::Console) => Vec::new(),
            _ => match caller.data_mut().flash.read(fd, n) {
                Ok(bytes) => bytes,
                Err(e) => return Ok(e),
            },
        };
        total += bytes.len() as u32;
        put(&mut caller, at, &bytes)?;
        if bytes.len() < n {
            break;
        }
    }
    put(&mut caller, got, &total.to_le_bytes())?;
    Ok(0)
}

fn getdents(mut caller: Caller<'_, State>, fd: i32, into: i32, bytes: i32) -> Result<i32, Error> {
    let names = match caller.data_mut().flash.names(fd, (bytes / 280).max(0) as usize) {
        Ok(names) => names,
        Err(e) => return Ok(-e),
    };
    for (i, (name, dir)) in names.iter().enumerate() {
        let mut entry = [0u8; 280];
        entry[..8].copy_from_slice(&(i as u64 + 1).to_le_bytes());
        entry[8..16].copy_from_slice(&(280 * (i as u64 + 1)).to_le_bytes());
        entry[16..18].copy_from_slice(&280u16.to_le_bytes());
        entry[18] = if *dir { 4 } else { 8 };
        let n = name.len().min(255);
        entry[19..19 + n].copy_from_slice(&name.as_bytes()[..n]);
        put(&mut caller, into + 280 * i as i32, &entry)?;
    }
    Ok(280 * names.len() as i32)
}

/// musl's `struct statfs`: the flash as a file system of blocks.
fn stat_flash(mut caller: Caller<'_, State>, _: i32, _: i32, at: i32) -> Result<i32, Error> {
    let (blocks, free) = caller.data().flash.blocks();
    let mut bytes = [0u8; 72];
    let block = fs::BLOCK_BYTES as u32;
    // Counts have eight bytes each, sizes four.
    for (place, word) in [(4, block), (60, block), (8, blocks), (16, free), (24, free), (56, 255)] {
        bytes[place..place + 4].copy_from_slice(&u32::to_le_bytes(word));
    }
    put(&mut caller, at, &bytes)?;
    Ok(0)
}

pub(super) fn link(engine: &Engine, module: &Module) -> Result<Linker<State>, Error> {
    type C<'a> = Caller<'a, State>;
    let mut linker = Linker::<State>::new(engine);
    linker.func_wrap("env", "_emscripten_throw_longjmp", || -> Result<(), Error> {
        Err(Error::host(LongJump))
    })?;
    linker.func_wrap("env", "_abort_js", || -> Result<(), Error> {
        Err(Error::new("MicroPython has given up"))
    })?;
    linker.func_wrap("env", "emscripten_resize_heap", grow)?;
    linker.func_wrap("env", "__syscall_statfs64", stat_flash)?;
    linker.func_wrap("env", "mp_js_random_u32", |mut c: C<'_>| {
        c.data_mut().asked += 1;
        c.data_mut().dice.random::<u32>() as i32
    })?;
    linker.func_wrap("env", "mp_js_ticks_ms", |mut c: C<'_>| -> Result<i32, Error> {
        c.data_mut().asked += 1;
        let now = look(&mut c)?;
        Ok((now.saturating_sub(c.data().born_ns) / 1_000_000) as i32)
    })?;
    // In microseconds, though MicroPython takes them for milliseconds: it keeps no fraction, and only the shim asks.
    linker.func_wrap("env", "mp_js_time_ms", |mut c: C<'_>| -> Result<f64, Error> {
        c.data_mut().asked += 1;
        let now = look(&mut c)?;
        Ok(((c.data().epoch_ns + now as i64) / 1_000) as f64)
    })?;
    linker.func_wrap("env", "__syscall_chdir", |mut c: C<'_>, path: i32| -> Result<i32, Error> {
        let path = text_at(&c, path)?;
        Ok(c.data_mut().flash.change_dir(&path))
    })?;
    linker.func_wrap(
        "env",
        "__syscall_getcwd",
        |mut c: C<'_>, at: i32, size: i32| -> Result<i32, Error> {
            let mut here = c.data().flash.here.clone().into_bytes();
            here.push(0);
            if here.len() > size as usize {
                return Ok(-68);
            }
            put(&mut c, at, &here)?;
            Ok(here.len() as i32)
        },
    )?;
    linker.func_wrap(
        "env",
        "__syscall_mkdirat",
        |mut c: C<'_>, _: i32, path: i32, _: i32| -> Result<i32, Error> {
            let path = text_at(&c, path)?;
            Ok(c.data_mut().flash.make_dir(&path))
        },
    )?;
    linker.func_wrap(
        "env",
        "__syscall_openat",
        |mut c: C<'_>, _: i32, path: i32, flags: i32, _: i32| -> Result<i32, Error> {
            let path = text_at(&c, path)?;
            Ok(c.data_mut().flash.open(&path, flags).unwrap_or_else(|e| -e))
        },
    )?;
    linker.func_wrap("env", "__syscall_poll", |_: i32, n: i32, _: i32| n)?;
    linker.func_wrap("env", "__syscall_getdents64", getdents)?;
    linker.func_wrap(
        "env",
        "__syscall_renameat",
        |mut c: C<'_>, _: i32, a: i32, _: i32, b: i32| -> Result<i32, Error> {
            let (a, b) = (text_at(&c, a)?, text_at(&c, b)?);
            Ok(c.data_mut().flash.rename(&a, &b))
        },
    )?;
    linker.func_wrap("env", "__syscall_rmdir", |mut c: C<'_>, path: i32| -> Result<i32, Error> {
        let path = text_at(&c, path)?;
        Ok(c.data_mut().flash.remove(&path, true))
    })?;
    linker.func_wrap(
        "env",
        "__syscall_unlinkat",
        |mut c: C<'_>, _: i32, path: i32, flags: i32| -> Result<i32, Error> {
            let path = text_at(&c, path)?;
            Ok(c.data_mut().flash.remove(&path, flags & 512 != 0))
        },
    )?;
    linker.func_wrap("env", "__syscall_fstat64", |mut c: C<'_>, fd: i32, at: i32| {
        let stat = c.data().flash.stat_open(fd);
        put_stat(&mut c, at, stat)
    })?;
    for name in ["__syscall_stat64", "__syscall_lstat64"] {
        linker.func_wrap("env", name, |mut c: C<'_>, path: i32, at: i32| {
            let path = text_at(&c, path)?;
            let stat = c.data().flash.stat(&path);
            put_stat(&mut c, at, stat)
        })?;
    }
    linker.func_wrap("env", "__syscall_newfstatat", |mut c: C<'_>, _: i32, path: i32, at: i32, _: i32| {
        let path = text_at(&c, path)?;
        let stat = c.data().flash.stat(&path);
        put_stat(&mut c, at, stat)
    })?;
    let wasi = "wasi_snapshot_preview1";
    linker.func_wrap(wasi, "fd_close", |mut c: C<'_>, fd: i32| c.data_mut().flash.close(fd))?;
    linker.func_wrap(wasi, "fd_sync", |_: i32| 0i32)?;
    linker.func_wrap(
        wasi,
        "fd_seek",
        |mut c: C<'_>, fd: i32, offset: i64, whence: i32, at: i32| -> Result<i32, Error> {
            match c.data_mut().flash.seek(fd, offset, whence) {
                Ok(to) => put(&mut c, at, &(to as u64).to_le_bytes()).map(|()| 0),
                Err(e) => Ok(e),
            }
        },
    )?;
    linker.func_wrap(wasi, "fd_read", fd_read)?;
    linker.func_wrap(wasi, "fd_write", fd_write)?;
    // What is left: calls through the table, and JavaScript's things, which are not there.
    for import in module.imports() {
        let ExternType::Func(ty) = import.ty() else { continue };
        let name = import.name();
        let defined = if name.starts_with("invoke_") {
            linker.func_new(import.module(), name, ty.clone(), |mut c, params, results| {
                invoke(&mut c, params, results)
            })
        } else {
            let absent = name.to_owned();
            linker.func_new(import.module(), name, ty.clone(), move |_, _, results| {
                // `js` is an empty object: nothing is in it, and nothing can be called.
                if matches!(absent.as_str(), "has_attr" | "lookup_attr" | "js_check_existing") {
                    results.iter_mut().for_each(|r| *r = Val::I32(0));
                    return Ok(());
                }
                if absent == "proxy_js_free_obj" {
                    return Ok(());
                }
                Err(Error::new(format!("{absent}: there is no JavaScript on a microcontroller")))
            })
        };
        // Those above are defined already.
        drop(defined);
    }
    Ok(linker)
}
