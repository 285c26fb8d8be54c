//! What was found out about files, kept in an SQLite database across starts. Whatever happens to it costs no more than looking again:
//! one that is damaged is put aside, and without one the library goes on in memory.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, params};

use super::about::Entry;

/// Raised whenever entries say something new, so that files are looked into again.
const VERSION: i64 = 1;
/// Another server of this machine may be writing.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of a file; `None`: it is no film.
pub type Known = Option<Entry>;

/// See the head of this file.
pub struct Database {
    connection: Option<Connection>,
    /// What went wrong, until it is asked for.
    trouble: Option<String>,
}

/// A file as it was when it was looked into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileKey {
    pub root: PathBuf,
    pub path: PathBuf,
    pub bytes: u64,
    pub changed: i64,
}

impl Database {
    /// Opens the database in this folder, which is made if it is missing.
    pub fn open(folder: &Path) -> Self {
        let file = folder.join("library.db");
        if let Err(why) = fs::create_dir_all(folder) {
            return Self::without(format!("{} cannot be made ({why})", folder.display()));
        }
        match connect(&file) {
            Ok(connection) => Self { connection: Some(connection), trouble: None },
            Err(first) if is_damage(&first) => {
                put_aside(&file);
                match connect(&file) {
                    Ok(connection) => {
                        let trouble = format!("{} was damaged ({first}) and is made anew", file.display());
                        Self { connection: Some(connection), trouble: Some(trouble) }
                    }
                    Err(why) => Self::without(format!("{} cannot be used ({why})", file.display())),
                }
            }
            // Somebody else writes, or the disk is full: what is in it stays.
            Err(why) => Self::without(format!("{} cannot be used ({why})", file.display())),
        }
    }

    const fn without(trouble: String) -> Self {
        Self { connection: None, trouble: Some(trouble) }
    }

    /// What went wrong, once.
    pub fn trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    /// All that is known of files below a root.
    pub fn load(&mut self, root: &Path) -> BTreeMap<FileKey, Known> {
        let Some(connection) = &self.connection else { return BTreeMap::new() };
        let loaded = load(connection, root);
        loaded.unwrap_or_else(|why| {
            self.fail(&why);
            BTreeMap::new()
        })
    }

    /// Keeps what was found out.
    pub fn keep(&mut self, found: &[(FileKey, Known)]) {
        let Some(connection) = &mut self.connection else { return };
        if let Err(why) = keep(connection, found) {
            self.fail(&why);
        }
    }

    /// Forgets files below a root that are not there any more.
    pub fn forget(&mut self, gone: &[FileKey]) {
        let Some(connection) = &mut self.connection else { return };
        if let Err(why) = forget(connection, gone) {
            self.fail(&why);
        }
    }

    /// It is not used any more: the disk is full, or the file is damaged.
    fn fail(&mut self, why: &rusqlite::Error) {
        self.connection = None;
        self.trouble = Some(format!("what is known of films is not kept any more ({why})"));
    }
}

/// The file is no database, or one that does not hold together.
fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn damaged(what: String) -> rusqlite::Error {
    let code = rusqlite::ffi::Error { code: ErrorCode::DatabaseCorrupt, extended_code: 11 };
    rusqlite::Error::SqliteFailure(code, Some(what))
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(damaged(sound));
    }
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    if version != VERSION {
        connection.execute_batch("DROP TABLE IF EXISTS files;")?;
        connection.pragma_update(None, "user_version", VERSION)?;
    }
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS files (root BLOB, path BLOB, bytes INTEGER, changed INTEGER, entry TEXT,
             PRIMARY KEY (root, path)) WITHOUT ROWID;",
    )?;
    // Whether it can be read at all is seen now.
    connection.query_row("SELECT count(*) FROM files", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

/// Keeps a damaged database for those who want to look at it, and out of the way.
fn put_aside(file: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let mut from = file.as_os_str().to_owned();
        from.push(ending);
        let mut to = file.as_os_str().to_owned();
        to.push(format!(".damaged{ending}"));
        // What is not there need not go.
        if fs::rename(&from, &to).is_err() {
            fs::remove_file(&from).ok();
        }
    }
}

fn load(connection: &Connection, root: &Path) -> rusqlite::Result<BTreeMap<FileKey, Known>> {
    let mut statement = connection.prepare("SELECT path, bytes, changed, entry FROM files WHERE root = ?1")?;
    let rows = statement.query_map([root.as_os_str().as_bytes()], |row| {
        let path: Vec<u8> = row.get(0)?;
        let entry: Option<String> = row.get(3)?;
        let key = FileKey {
            root: root.to_owned(),
            path: std::ffi::OsString::from_vec(path).into(),
            bytes: row.get::<_, i64>(1)?.unsigned_abs(),
            changed: row.get(2)?,
        };
        Ok((key, entry))
    })?;
    let mut all = BTreeMap::new();
    for row in rows {
        let (key, entry) = match row {
            Ok(row) => row,
            // Such a row says nothing: its file is looked into again, and takes its place.
            Err(rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..)) => continue,
            Err(why) => return Err(why),
        };
        match entry.map(|text| serde_json::from_str(&text)) {
            None => drop(all.insert(key, None)),
            Some(Ok(entry)) => drop(all.insert(key, Some(entry))),
            // It is looked into again.
            Some(Err(_)) => {}
        }
    }
    Ok(all)
}

fn keep(connection: &mut Connection, found: &[(FileKey, Known)]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut statement = transaction.prepare_cached(
            "INSERT OR REPLACE INTO files (root, path, bytes, changed, entry) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for (key, entry) in found {
            let text = entry.as_ref().and_then(|entry| serde_json::to_string(entry).ok());
            let (root, path) = (key.root.as_os_str().as_bytes(), key.path.as_os_str().as_bytes());
            statement.execute(params![root, path, key.bytes.cast_signed(), key.changed, text])?;
        }
    }
    transaction.commit()
}

fn forget(connection: &mut Connection, gone: &[FileKey]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut statement = transaction.prepare_cached("DELETE FROM files WHERE root = ?1 AND path = ?2")?;
        for key in gone {
            statement.execute(params![key.root.as_os_str().as_bytes(), key.path.as_os_str().as_bytes()])?;
        }
    }
    transaction.commit()
}
