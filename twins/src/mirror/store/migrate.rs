//! A store of the first format brought into the present one: messages and readings, a row each there, into blocks. Some at a
//! time, each time in one transaction that takes away what it has brought over, so that a kill in between loses nothing and
//! does nothing twice.

use super::{HISTORY, MESSAGES, META, RawMessage, StoreError, blocks, put_rows};
use redb::{Database, ReadableTable, TableDefinition, TableHandle};

/// What a store of today calls itself, and where it says so.
pub(super) const FORMAT: u32 = 2;
const FORMAT_NOTE: &str = "format";

/// Where the first format kept messages, by number, and readings, by twin and Unix time [ns].
const OLD_MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");
const OLD_HISTORY: TableDefinition<'_, (u32, i64), &[u8]> = TableDefinition::new("history");
/// Rows of a transaction.
const ROWS: usize = 20_000;

/// Makes the store of the present format, or says why that cannot be.
///
/// # Errors
/// [`StoreError::Later`] for a format that this version does not know; [`StoreError::Failed`]. Nothing was changed then, or
/// what was is complete in itself.
pub(super) fn migrate(db: &Database) -> Result<(), StoreError> {
    let write = db.begin_write()?;
    let tables: Vec<String> = write.list_tables()?.map(|t| t.name().to_owned()).collect();
    let said = {
        let table = write.open_table(META)?;
        let note = table.get(FORMAT_NOTE)?.map(|v| v.value().to_vec());
        note.map(|v| v.try_into().map_or(u32::MAX, u32::from_le_bytes))
    };
    if let Some(format) = said.filter(|f| *f > FORMAT) {
        return Err(StoreError::Later { format, known: FORMAT });
    }
    drop(write);
    let has = |table: &str| tables.iter().any(|t| t == table);
    while has(OLD_MESSAGES.name()) && !messages(db)? {}
    while has(OLD_HISTORY.name()) && !history(db)? {}
    if said != Some(FORMAT) {
        let write = db.begin_write()?;
        write.open_table(META)?.insert(FORMAT_NOTE, &FORMAT.to_le_bytes()[..])?;
        write.commit()?;
    }
    Ok(())
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Failed(format!("it is of the first format, and {what} in it cannot be read"))
}

/// Brings some messages over; whether that were all, and their table is gone.
fn messages(db: &Database) -> Result<bool, StoreError> {
    let write = db.begin_write()?;
    let mut run: Vec<RawMessage> = Vec::new();
    let mut first = 0;
    let done = {
        let mut old = write.open_table(OLD_MESSAGES)?;
        let mut numbers = Vec::new();
        for entry in old.iter()?.take(ROWS) {
            let (number, bytes) = entry?;
            let number = number.value();
            // Numbers say where a message is: those of a block follow one another.
            if numbers.last().is_some_and(|last| last + 1 != number) {
                break;
            }
            first = *numbers.first().unwrap_or(&number);
            numbers.push(number);
            run.push(RawMessage::read(bytes.value()).ok_or_else(|| unreadable("a message"))?);
        }
        for number in &numbers {
            old.remove(number)?;
        }
        numbers.is_empty()
    };
    {
        let mut table = write.open_table(MESSAGES)?;
        for (n, block) in blocks::pack_messages(&run) {
            table.insert(first, &block[..])?;
            first += n;
        }
    }
    if done {
        write.delete_table(OLD_MESSAGES)?;
    }
    write.commit()?;
    Ok(done)
}

/// The same of readings.
fn history(db: &Database) -> Result<bool, StoreError> {
    let write = db.begin_write()?;
    let mut rows = Vec::new();
    {
        let mut old = write.open_table(OLD_HISTORY)?;
        for entry in old.iter()?.take(ROWS) {
            let (key, values) = entry?;
            let (twin, t_unix_ns) = key.value();
            rows.push(
                blocks::old_row(twin, t_unix_ns, values.value()).ok_or_else(|| unreadable("a reading"))?,
            );
        }
        for row in &rows {
            old.remove((row.twin, row.t_unix_ns))?;
        }
    }
    put_rows(&mut write.open_table(HISTORY)?, &rows)?;
    let done = rows.is_empty();
    if done {
        write.delete_table(OLD_HISTORY)?;
    }
    write.commit()?;
    Ok(done)
}
