//! MicroPython itself, version 1.27, as its own project builds it for WebAssembly, interpreted within this process.
//!
//! Why an interpreter (wasmi) and no compiler: a device waits far more than it computes, instructions are counted exactly (the
//! budget and the simulated time of computing come from it), an instance costs memory only for what it touches, and it is
//! a fraction of a compiler's build. What JavaScript lends MicroPython is not there: no `js` module.
//!
//! An instance is started from a picture of memory in which MicroPython and the shim are loaded already; one picture serves
//! all devices of a board. Its garbage-collected heap is the board's: what the shim takes is added, and what memory is left
//! beyond is taken away, so that the heap cannot grow.
//!
//! The script's line to the run is a file, `/dev/world`; its other files are a flash of its own ([`fs`]).

mod fs;

use super::{
    Options,
    cpython::text,
    device::Life,
    guest::{Guest, Host, HostError, Went},
};
use fs::{Flash, Open, errno};
use rand::RngExt;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};
use twinfleet_engine::rng::{Rng, stream};
use wasmi::{
    AsContext, AsContextMut, Caller, CompilationMode, Config, Engine, Error, ExternType, Func, Instance,
    Linker, Memory, Module, Ref, ResumableCall, Store, Val,
};

static MICROPYTHON: &[u8] = include_bytes!("../../../assets/micropython/micropython.wasm");

/// Cycles of the board's processor for one unit of fuel. The interpreter charges a round of a loop with the whole loop's body,
/// and MicroPython's own is one large loop with a round for each bytecode: some thousands of units. An empty loop in a function
/// then takes about a microsecond a round at 240 MHz, as on an ESP32. Own estimate for all other boards.
const CYCLES_PER_FUEL: f64 = 0.0072;
/// Fuel after which the run is told that the script still computes: some 30 ms on an ESP32.
const SLICE: u64 = 1_000_000_000;
/// What a picture is cut into, [bytes]: the machine's own pages, so that an instance touches no more than it must.
const PAGE_BYTES: usize = 4096;
/// Native stack of an instance's thread, [bytes]: Python's calls nest in it.
const STACK_BYTES: usize = 4 << 20;
/// Room for the shim within the heap, of which a ballast takes what is left, [KiB].
const SHIM_KB: u32 = 256;
/// What instances keep for the C library beside the heap, [bytes].
const RESERVE_BYTES: i32 = 24 << 10;

/// Heap that MicroPython leaves to scripts on a board, [KiB]: figures that `gc.mem_free()` shows there after a start, about.
fn heap_kb(board: &str, ram_kb: f64) -> u32 {
    let known = [
        ("esp8266", 36),
        ("esp32-c3", 170),
        ("esp32-s3", 220),
        ("esp32", 160),
        ("raspberry-pi-pico", 190),
        ("arduino-nano-33", 16),
        ("arduino-mkr", 16),
    ];
    let found = known.iter().find(|(name, _)| board.starts_with(name));
    found.map_or_else(|| (ram_kb * 0.5).clamp(8.0, 4096.0) as u32, |(_, kb)| *kb)
}

/// Where this build of MicroPython counts the calls from outside that are under way. Within one it collects no garbage, as it
/// cannot see what C's local variables hold; a script's whole life is one call. The shim asks for a collection where it waits,
/// between two lines of Python, when all that lives is in Python's own frames: then this count is set to none.
const CALLS_UNDER_WAY: i32 = 186_120;

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
struct Stop;
impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}
impl wasmi::errors::HostError for Stop {}

/// What an instance's host functions work on.
struct State {
    flash: Flash,
    line: Vec<u8>,
    answer: Vec<u8>,
    /// To and from the device's turn; none while a picture is made.
    run: Option<(Sender<Went>, Receiver<String>)>,
    dice: Rng,
    base_ns: u64,
    /// Fuel spent until then.
    base_spent: u64,
    /// Fuel that was given.
    given: u64,
    ns_per_fuel: f64,
    epoch_ns: i64,
    console: Vec<u8>,
    /// Whether it was interrupted, and what does so.
    stuck: bool,
    interrupt: Option<Func>,
    /// Twelve bytes of the instance's memory for results that nobody looks at.
    scratch: i32,
}

fn spent(ctx: &impl AsContext<Data = State>) -> u64 {
    let ctx = ctx.as_context();
    ctx.data().given - ctx.get_fuel().unwrap_or(0)
}

fn now_ns(ctx: &impl AsContext<Data = State>) -> u64 {
    let spent = spent(ctx);
    let state = ctx.as_context();
    let state = state.data();
    state.base_ns + ((spent - state.base_spent) as f64 * state.ns_per_fuel) as u64
}

/// One question to the run.
fn ask(mut ctx: impl AsContextMut<Data = State>, words: &str) -> Result<String, Error> {
    let (now, at) = (now_ns(&ctx), spent(&ctx));
    let mut context = ctx.as_context_mut();
    let state = context.data_mut();
    let Some((to, from)) = &state.run else { return Ok("ok".to_owned()) };
    if to.send(Went::Asked(format!("{now} {words}"))).is_err() {
        return Err(Error::host(Stop));
    }
    let Ok(answer) = from.recv() else { return Err(Error::host(Stop)) };
    let (time, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
    state.base_ns = time.parse().unwrap_or(now);
    state.base_spent = at;
    Ok(rest.to_owned())
}

/// Calls a function of the instance, giving it fuel slice by slice.
fn call(
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

/// A slice is used up: time passes, and one that is stuck is interrupted where it is.
fn refuel(mut ctx: impl AsContextMut<Data = State>, least: u64) -> Result<(), Error> {
    let more = SLICE.max(least);
    {
        let mut context = ctx.as_context_mut();
        let left = context.get_fuel()?;
        context.set_fuel(left + more)?;
        context.data_mut().given += more;
    }
    if ctx.as_context().data().run.is_none() {
        return Ok(());
    }
    if ask(&mut ctx, "tick")? == "stuck" {
        if ctx.as_context().data().stuck {
            // It has caught the interrupt and goes on.
            let _ = ask(&mut ctx, "end stuck -")?;
            return Err(Error::host(Stop));
        }
        ctx.as_context_mut().data_mut().stuck = true;
        // As Ctrl-C does it: MicroPython raises KeyboardInterrupt at the next jump of its bytecode.
        if let Some(interrupt) = ctx.as_context().data().interrupt {
            interrupt.call(ctx.as_context_mut(), &[], &mut [])?;
        }
    }
    Ok(())
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
    match caller.data().flash.opened(fd).cloned() {
        Some(Open::Console) => {
            caller.data_mut().console.extend_from_slice(&bytes);
            while let Some(end) = caller.data().console.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = caller.data_mut().console.drain(..=end).collect();
                let line = &line[..line.len() - 1];
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let said = super::machine::hex(line.iter().copied().take(4096));
                ask(&mut caller, &format!("say {said}"))?;
            }
        }
        Some(Open::World) => {
            caller.data_mut().line.extend_from_slice(&bytes);
            if caller.data().line.last() == Some(&b'\n') {
                let line = std::mem::take(&mut caller.data_mut().line);
                let words = String::from_utf8_lossy(&line).trim_end().to_owned();
                let answer = match words.as_str() {
                    "now" => format!("ok {} {}", now_ns(&caller), caller.data().epoch_ns),
                    "gc" => collect(&mut caller)?,
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

fn link(engine: &Engine, module: &Module) -> Result<Linker<State>, Error> {
    type C<'a> = Caller<'a, State>;
    let mut linker = Linker::<State>::new(engine);
    linker.func_wrap("env", "_emscripten_throw_longjmp", || -> Result<(), Error> {
        Err(Error::host(LongJump))
    })?;
    linker.func_wrap("env", "_abort_js", || -> Result<(), Error> {
        Err(Error::new("MicroPython has given up"))
    })?;
    linker.func_wrap("env", "emscripten_resize_heap", |_: i32| 0i32)?;
    linker.func_wrap("env", "mp_js_random_u32", |mut c: C<'_>| c.data_mut().dice.random::<u32>() as i32)?;
    linker.func_wrap("env", "mp_js_ticks_ms", |c: C<'_>| (now_ns(&c) / 1_000_000) as i32)?;
    linker.func_wrap("env", "mp_js_time_ms", |c: C<'_>| {
        ((c.data().epoch_ns + now_ns(&c) as i64) / 1_000_000) as f64
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

/// MicroPython, compiled once for all instances.
struct Code {
    engine: Engine,
    module: Module,
    linker: Linker<State>,
}

/// The module with less memory than the 16 MiB that it asks for: the limits of its one memory are rewritten in place.
fn with_memory(pages: u32) -> Option<Vec<u8>> {
    let mut bytes = MICROPYTHON.to_vec();
    let leb = |bytes: &[u8], at: &mut usize| {
        let (mut value, mut shift) = (0u32, 0);
        loop {
            let b = *bytes.get(*at)?;
            *at += 1;
            value |= u32::from(b & 0x7F) << shift;
            shift += 7;
            if b & 0x80 == 0 || shift > 28 {
                return Some(value);
            }
        }
    };
    let mut at = 8;
    while at < bytes.len() {
        let id = bytes[at];
        at += 1;
        let length = leb(&bytes, &mut at)? as usize;
        if id == 5 {
            // One memory, its flags, its least size: two digits, as it had.
            let mut limits = at + 2;
            let first = limits;
            if leb(&bytes, &mut limits)? < pages || limits != first + 2 {
                return None;
            }
            bytes[first] = (pages & 0x7F) as u8 | 0x80;
            bytes[first + 1] = (pages >> 7) as u8;
            return Some(bytes);
        }
        at += length;
    }
    None
}

/// The module for instances with a heap of this size.
fn code(heap_kb: u32) -> Result<Arc<Code>, HostError> {
    static CODES: OnceLock<Mutex<HashMap<u32, Arc<Code>>>> = OnceLock::new();
    // Its own data and stack, the heap with the shim and its garbage, the C library's reserve.
    let pages = (heap_kb + SHIM_KB + 512).div_ceil(64);
    let mut codes = CODES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(code) = codes.get(&pages) {
        return Ok(Arc::clone(code));
    }
    let wrong = |e: Error| HostError(format!("MicroPython cannot be loaded: {e}"));
    let mut config = Config::default();
    config.consume_fuel(true);
    // What is translated on first use would be charged to whoever came first.
    config.compilation_mode(CompilationMode::Eager);
    let engine = Engine::new(&config);
    let module = match with_memory(pages) {
        Some(bytes) => Module::new(&engine, &bytes),
        None => Module::new(&engine, MICROPYTHON),
    };
    let module = module.map_err(wrong)?;
    let linker = link(&engine, &module).map_err(wrong)?;
    let code = Arc::new(Code { engine, module, linker });
    codes.insert(pages, Arc::clone(&code));
    Ok(code)
}

/// An instance.
struct Micro {
    store: Store<State>,
    instance: Instance,
    memory: Memory,
}

impl Micro {
    fn new(state: State, heap_kb: u32) -> Result<Self, Error> {
        let code = code(heap_kb).map_err(|e| Error::new(e.0))?;
        let mut store = Store::new(&code.engine, state);
        store.set_fuel(SLICE)?;
        store.data_mut().given = SLICE;
        let instance = code.linker.instantiate_and_start(&mut store, &code.module)?;
        let memory = instance.get_memory(&store, "memory").ok_or_else(|| Error::new("no memory"))?;
        store.data_mut().interrupt = instance.get_func(&store, "mp_sched_keyboard_interrupt");
        Ok(Self { store, instance, memory })
    }

    fn call(&mut self, name: &str, params: &[i32], results: usize) -> Result<i32, Error> {
        let func =
            self.instance.get_func(&self.store, name).ok_or_else(|| Error::new(format!("no {name}")))?;
        let params: Vec<Val> = params.iter().map(|p| Val::I32(*p)).collect();
        let mut out = vec![Val::I32(0); results];
        call(&mut self.store, func, &params, &mut out)?;
        Ok(out.first().and_then(Val::i32).unwrap_or(0))
    }

    /// Runs a text; its errors are its own to catch.
    fn exec(&mut self, source: &str) -> Result<(), Error> {
        let n = source.len() as i32;
        let at = self.call("malloc", &[n + 1], 1)?;
        let out = self.call("malloc", &[12], 1)?;
        if at == 0 || out == 0 {
            return Err(Error::new("no memory for the script's text"));
        }
        let mut bytes = source.as_bytes().to_vec();
        bytes.push(0);
        self.memory.write(&mut self.store, at as usize, &bytes).map_err(|e| Error::new(e.to_string()))?;
        self.call("mp_js_do_exec", &[at, n, out], 0)?;
        let mut kind = [0u8; 12];
        self.memory.read(&self.store, out as usize, &mut kind).map_err(|e| Error::new(e.to_string()))?;
        let words: Vec<i32> = kind.chunks(4).map(|c| i32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect();
        if words[0] == -1 {
            let mut text = vec![0; words[1].clamp(0, 65_536) as usize];
            self.memory
                .read(&self.store, words[2] as usize, &mut text)
                .map_err(|e| Error::new(e.to_string()))?;
            return Err(Error::new(String::from_utf8_lossy(&text).into_owned()));
        }
        self.call("free", &[at], 0)?;
        self.call("free", &[out], 0)?;
        Ok(())
    }

    /// Takes away the memory into which the heap could grow.
    fn exhaust(&mut self) -> Result<(), Error> {
        let reserve = self.call("malloc", &[RESERVE_BYTES], 1)?;
        let mut size = 1 << 20;
        while size >= 4096 {
            if self.call("malloc", &[size], 1)? == 0 {
                size /= 2;
            }
        }
        self.call("free", &[reserve], 0)?;
        Ok(())
    }
}

/// The memory of an instance with MicroPython and shim loaded, without its empty pages, and its files.
struct Picture {
    pages: Vec<(usize, Box<[u8]>)>,
    flash: Flash,
    scratch: i32,
    heap_kb: u32,
}

fn blank() -> State {
    State {
        flash: Flash::new(),
        line: Vec::new(),
        answer: Vec::new(),
        run: None,
        dice: stream(0, "", "micropython"),
        base_ns: 0,
        base_spent: 0,
        given: 0,
        ns_per_fuel: 0.0,
        epoch_ns: 0,
        console: Vec::new(),
        stuck: false,
        interrupt: None,
        scratch: 0,
    }
}

/// The shim's modules, and MicroPython's own that boards have frozen in.
fn modules() -> Vec<(String, &'static str)> {
    super::cpython::folder("micro")
}

fn picture(heap_kb: u32) -> Result<Picture, Error> {
    let mut micro = Micro::new(blank(), heap_kb)?;
    for (path, source) in modules() {
        micro.store.data_mut().flash.put(&format!("/shim/{path}"), source.as_bytes().to_vec());
    }
    micro.call("__wasm_call_ctors", &[], 0)?;
    // Room for the shim, which a ballast fills up to what the board has.
    micro.call("mp_js_init", &[8 * 1024, (heap_kb + SHIM_KB) as i32 * 1024], 0)?;
    micro.call("proxy_c_init", &[], 0)?;
    let scratch = micro.call("malloc", &[16], 1)?;
    micro
        .memory
        .write(&mut micro.store, scratch as usize, &[0; 16])
        .map_err(|e| Error::new(e.to_string()))?;
    micro.store.data_mut().scratch = scratch;
    micro.exec(text("micro/_boot.py"))?;
    micro.exec(&format!("import _twinfleet; _twinfleet.ready({heap_kb})"))?;
    micro.exhaust()?;
    let data = micro.memory.data(&micro.store);
    let pages = data.chunks(PAGE_BYTES).enumerate().filter(|(_, page)| page.iter().any(|b| *b != 0));
    let pages = pages.map(|(i, page)| (i * PAGE_BYTES, Box::from(page))).collect();
    Ok(Picture { pages, flash: micro.store.data().flash.clone(), scratch, heap_kb })
}

/// Pictures by size of heap.
type Pictures = Arc<Mutex<HashMap<u32, Arc<Picture>>>>;

/// Instances of a run; clones share their pictures.
#[derive(Clone)]
pub struct MicroPython {
    patience: Duration,
    pictures: Pictures,
}

impl MicroPython {
    /// Instances to come.
    pub fn new(options: &Options) -> Self {
        Self { patience: options.patience, pictures: Arc::default() }
    }

    fn picture(&self, heap_kb: u32) -> Result<Arc<Picture>, HostError> {
        let mut all = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = all.get(&heap_kb) {
            return Ok(Arc::clone(made));
        }
        let made = picture(heap_kb).map_err(|e| HostError(format!("MicroPython does not start: {e}")))?;
        let made = Arc::new(made);
        all.insert(heap_kb, Arc::clone(&made));
        Ok(made)
    }
}

/// Words of Python for a text.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Host for MicroPython {
    fn start(&mut self, life: &Life, now_ns: u64) -> Result<(Box<dyn Guest>, Went), HostError> {
        let heap_kb = life.script.heap_kb.unwrap_or_else(|| heap_kb(&life.board, life.ram_kb));
        let picture = self.picture(heap_kb)?;
        let (to_run, from_guest) = channel();
        let (to_guest, from_run) = channel();
        let life = life.clone();
        let thread = std::thread::Builder::new().name(life.device.clone()).stack_size(STACK_BYTES);
        let spawned = thread.spawn(move || {
            let done = to_run.clone();
            let went = live(&picture, &life, now_ns, to_run, from_run);
            // Nobody may be left to hear it.
            let _ = done.send(went);
        });
        spawned.map_err(|e| HostError(format!("no thread for its script: {e}")))?;
        let mut guest = Thread { answers: to_guest, questions: from_guest, patience: self.patience };
        let went = guest.next();
        Ok((Box::new(guest), went))
    }
}

/// An instance's whole life.
fn live(picture: &Picture, life: &Life, now_ns: u64, to: Sender<Went>, from: Receiver<String>) -> Went {
    let state = State {
        flash: picture.flash.clone(),
        scratch: picture.scratch,
        run: Some((to, from)),
        dice: stream(life.seed, &life.device, "micropython"),
        base_ns: now_ns,
        ns_per_fuel: CYCLES_PER_FUEL * 1e3 / life.clock_mhz,
        epoch_ns: life.epoch_ns,
        ..blank()
    };
    let gone = |e: &Error| Went::Gone(format!("MicroPython has come to its end: {e}"));
    let mut micro = match Micro::new(state, picture.heap_kb) {
        Ok(micro) => micro,
        Err(e) => return gone(&e),
    };
    for (at, page) in &picture.pages {
        if let Err(e) = micro.memory.write(&mut micro.store, *at, page) {
            return Went::Gone(e.to_string());
        }
    }
    micro.store.data_mut().base_spent = spent(&micro.store);
    for (path, bytes) in &life.card.files {
        micro.store.data_mut().flash.put(&format!("/{}", path.display()), bytes.clone());
    }
    let mac = super::machine::hex(life.mac);
    let source = format!(
        "import _twinfleet; _twinfleet.run({}, {}, {}, {}, {})",
        quoted(&life.card.main),
        quoted(&life.device),
        quoted(&mac),
        quoted(life.reset_cause),
        (life.clock_mhz * 1e6) as u64
    );
    match micro.exec(&source) {
        Ok(()) => Went::Gone("its script has ended without a word".to_owned()),
        Err(e) if e.downcast_ref::<Stop>().is_some() => Went::Gone(String::new()),
        Err(e) => gone(&e),
    }
}

/// The thread of an instance, seen from its device.
struct Thread {
    answers: Sender<String>,
    questions: Receiver<Went>,
    patience: Duration,
}

impl Thread {
    fn next(&mut self) -> Went {
        match self.questions.recv_timeout(self.patience) {
            Ok(went) => went,
            Err(RecvTimeoutError::Timeout) => Went::Hung(self.patience),
            Err(RecvTimeoutError::Disconnected) => Went::Gone("its interpreter failed".to_owned()),
        }
    }
}

impl Guest for Thread {
    fn resume(&mut self, answer: &str) -> Went {
        if self.answers.send(answer.to_owned()).is_err() {
            return Went::Gone("its interpreter failed".to_owned());
        }
        self.next()
    }
}
