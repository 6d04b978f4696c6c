//! Floor plans.

use std::sync::Arc;

use anita_model::{PlanId, SiteName, Timestamp};
use anita_store::{
    Amount, BoxFuture, Calibration, Pair, Picture, PictureBytes, PictureChange, PictureKind, Plan, PlanStore,
    Point, StoreError,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::codec::Damaged;
use crate::fault::{Fault, sound};
use crate::keeper::{Keeper, Request};
use crate::store::SqliteStore;

/// A change of the plans.
#[derive(Debug)]
pub(crate) enum Change {
    /// Keep a plan.
    Save(Box<Plan>, PictureChange),
    /// Remove one.
    Remove(PlanId),
}

impl PlanStore for SqliteStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Plan>, StoreError>> {
        self.ask(|db, _shared| list(db))
    }

    fn picture(&self, id: PlanId) -> BoxFuture<'_, Result<Option<(Picture, PictureBytes)>, StoreError>> {
        self.ask(move |db, _shared| picture(db, &id))
    }

    fn save(&self, plan: Plan, picture: PictureChange) -> BoxFuture<'_, Result<(), StoreError>> {
        self.order(|answer| Request::Plan(Change::Save(Box::new(plan), picture), answer))
    }

    fn remove(&self, id: PlanId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.order(|answer| Request::Plan(Change::Remove(id), answer))
    }
}

impl Keeper {
    /// Changes the plans, wholly or not at all.
    pub(crate) fn change_plan(&mut self, change: &Change) -> Result<(), StoreError> {
        self.write_aside(|db| match change {
            Change::Save(plan, picture) => save(db, plan, picture),
            Change::Remove(id) => remove(db, id),
        })
    }
}

const SAVE: &str = "INSERT OR REPLACE INTO plan (id, name, site, floor, opacity,
    from_u, from_v, from_x_m, from_y_m, to_u, to_v, to_x_m, to_y_m,
    media_type, width_px, height_px, bytes, picture_revision, revision, updated_us, updated_by)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";

fn save(db: &Connection, plan: &Plan, picture: &PictureChange) -> Result<(), Fault> {
    let number = |value: u64| i64::try_from(value).map_err(|_too_large| Fault::TooLarge);
    let id = plan.id.as_str();
    let pairs = plan.calibration.map(|it| it.pairs());
    let [from, to] = [pairs.map(|[from, _to]| from), pairs.map(|[_from, to]| to)];
    let shown = plan.picture.as_ref();
    db.prepare_cached(SAVE)?.execute(params![
        id,
        plan.name,
        plan.site.as_str(),
        plan.floor,
        plan.opacity,
        from.map(|it| it.pixel.x),
        from.map(|it| it.pixel.y),
        from.map(|it| it.metres.x),
        from.map(|it| it.metres.y),
        to.map(|it| it.pixel.x),
        to.map(|it| it.pixel.y),
        to.map(|it| it.metres.x),
        to.map(|it| it.metres.y),
        shown.map(|it| it.kind.media_type()),
        shown.map(|it| it.width_px),
        shown.map(|it| it.height_px),
        shown.map(|it| number(it.bytes)).transpose()?,
        shown.map(|it| number(it.revision)).transpose()?,
        number(plan.revision)?,
        plan.updated_at.as_micros(),
        plan.updated_by,
    ])?;
    if shown.is_none() {
        db.prepare_cached("DELETE FROM plan_picture WHERE id = ?1")?.execute([id])?;
    } else if let PictureChange::Replaced(bytes) = picture {
        let sql = "INSERT OR REPLACE INTO plan_picture (id, body) VALUES (?1, ?2)";
        db.prepare_cached(sql)?.execute(params![id, &**bytes])?;
    }
    Ok(())
}

fn remove(db: &Connection, id: &PlanId) -> Result<(), Fault> {
    db.prepare_cached("DELETE FROM plan WHERE id = ?1")?.execute([id.as_str()])?;
    db.prepare_cached("DELETE FROM plan_picture WHERE id = ?1")?.execute([id.as_str()])?;
    Ok(())
}

fn list(db: &Connection) -> Result<Vec<Plan>, Fault> {
    let sql = "SELECT id, name, site, floor, opacity, revision, updated_us, updated_by,
                      media_type, width_px, height_px, bytes, picture_revision,
                      from_u, from_v, from_x_m, from_y_m, to_u, to_v, to_x_m, to_y_m
               FROM plan ORDER BY id";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut plans = Vec::new();
    while let Some(row) = rows.next()? {
        plans.extend(sound(plan(row), "plan")?);
    }
    Ok(plans)
}

fn plan(row: &Row<'_>) -> Result<Plan, Fault> {
    Ok(Plan {
        id: PlanId::parse(&row.get::<_, String>(0)?).map_err(|_invalid| Damaged)?,
        name: row.get(1)?,
        site: SiteName::parse(&row.get::<_, String>(2)?).map_err(|_invalid| Damaged)?,
        floor: row.get(3)?,
        opacity: row.get(4)?,
        revision: row.get::<_, i64>(5)?.cast_unsigned(),
        updated_at: Timestamp::from_micros(row.get(6)?).map_err(|_out_of_range| Damaged)?,
        updated_by: row.get(7)?,
        picture: shown(row, 8)?,
        calibration: calibration(row, 13)?,
    })
}

/// What is known of a picture, from five columns.
fn shown(row: &Row<'_>, first: usize) -> Result<Option<Picture>, Fault> {
    let Some(media_type) = row.get::<_, Option<String>>(first)? else { return Ok(None) };
    Ok(Some(Picture {
        kind: PictureKind::from_media_type(&media_type).ok_or(Damaged)?,
        width_px: row.get(first + 1)?,
        height_px: row.get(first + 2)?,
        bytes: row.get::<_, i64>(first + 3)?.cast_unsigned(),
        revision: row.get::<_, i64>(first + 4)?.cast_unsigned(),
    }))
}

fn calibration(row: &Row<'_>, first: usize) -> Result<Option<Calibration>, Fault> {
    if row.get::<_, Option<f64>>(first)?.is_none() {
        return Ok(None);
    }
    let point =
        |column| -> Result<Point, Fault> { Ok(Point { x: row.get(column)?, y: row.get(column + 1)? }) };
    let pair =
        |column| -> Result<Pair, Fault> { Ok(Pair { pixel: point(column)?, metres: point(column + 2)? }) };
    let pairs = [pair(first)?, pair(first + 4)?];
    Ok(Some(Calibration::new(pairs).map_err(|_invalid| Damaged)?))
}

fn picture(db: &Connection, id: &PlanId) -> Result<Option<(Picture, PictureBytes)>, Fault> {
    let sql = "SELECT media_type, width_px, height_px, bytes, picture_revision, body
               FROM plan JOIN plan_picture USING (id) WHERE id = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let found = statement.query_row([id.as_str()], |row| {
        let body = row.get_ref(5)?.as_blob().map(Arc::<[u8]>::from).ok();
        Ok((shown(row, 0), body))
    });
    let Some((picture, body)) = found.optional()? else { return Ok(None) };
    Ok(picture?.zip(body))
}

/// How many plans there are, and how many bytes their pictures have.
pub(crate) fn amount(db: &Connection) -> Result<Amount, Fault> {
    let sql = "SELECT count(*), coalesce(sum(bytes), 0) FROM plan";
    let row = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let (count, bytes) = db.prepare_cached(sql)?.query_row([], row)?;
    Ok(Amount { count: count.cast_unsigned(), bytes: bytes.cast_unsigned() })
}
