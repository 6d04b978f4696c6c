//! Floor plans. They don't go through the connection that writes: they are seldom changed, and who changes one waits for
//! the answer. While the database is away they can't be changed.

use std::sync::Arc;

use anita_model::{PlanId, SiteName};
use anita_store::{
    Amount, BoxFuture, Calibration, Pair, Picture, PictureBytes, PictureChange, PictureKind, Plan, PlanStore,
    Point, StoreError,
};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use crate::day::Moment;
use crate::fault::{Fault, store_error};
use crate::messages::get;
use crate::store::PostgresStore;

impl PlanStore for PostgresStore {
    fn list(&self) -> BoxFuture<'_, Result<Vec<Plan>, StoreError>> {
        Box::pin(self.ask(async |client| list(client).await))
    }

    fn picture(&self, id: PlanId) -> BoxFuture<'_, Result<Option<(Picture, PictureBytes)>, StoreError>> {
        Box::pin(self.ask(async move |client| picture(client, &id).await))
    }

    fn save(&self, plan: Plan, picture: PictureChange) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write_aside(async move |transaction| save(transaction, &plan, &picture).await))
    }

    fn remove(&self, id: PlanId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write_aside(async move |transaction| {
            let sql = "DELETE FROM plan WHERE id = $1";
            transaction.execute(sql, &[&id.as_str()]).await.map_err(store_error)?;
            Ok(())
        }))
    }
}

const SAVE: &str = "INSERT INTO plan (id, name, site, floor, opacity, from_u, from_v, from_x_m, from_y_m, \
     to_u, to_v, to_x_m, to_y_m, media_type, width_px, height_px, bytes, picture_revision, revision, updated_at, \
     updated_by) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) \
     ON CONFLICT (id) DO UPDATE SET name = excluded.name, site = excluded.site, floor = excluded.floor, \
     opacity = excluded.opacity, from_u = excluded.from_u, from_v = excluded.from_v, \
     from_x_m = excluded.from_x_m, from_y_m = excluded.from_y_m, to_u = excluded.to_u, to_v = excluded.to_v, \
     to_x_m = excluded.to_x_m, to_y_m = excluded.to_y_m, media_type = excluded.media_type, \
     width_px = excluded.width_px, height_px = excluded.height_px, bytes = excluded.bytes, \
     picture_revision = excluded.picture_revision, revision = excluded.revision, \
     updated_at = excluded.updated_at, updated_by = excluded.updated_by";

async fn save<C: GenericClient>(client: &C, plan: &Plan, change: &PictureChange) -> Result<(), StoreError> {
    if plan.name.contains('\0') || plan.updated_by.contains('\0') {
        return Err(Fault::Nul("a floor plan").into());
    }
    let number = |value: u64| i64::try_from(value).map_err(|_too_large| Fault::TooLarge("a floor plan"));
    let id = plan.id.as_str();
    let pairs = plan.calibration.map(|it| it.pairs());
    let columns = |pair: Option<Pair>| {
        [
            pair.map(|it| it.pixel.x),
            pair.map(|it| it.pixel.y),
            pair.map(|it| it.metres.x),
            pair.map(|it| it.metres.y),
        ]
    };
    let [from, to] = [pairs.map(|[from, _to]| from), pairs.map(|[_from, to]| to)].map(columns);
    let ([u1, v1, x1, y1], [u2, v2, x2, y2]) = (from, to);
    let shown = plan.picture.as_ref();
    client
        .execute(
            SAVE,
            &[
                &id,
                &plan.name,
                &plan.site.as_str(),
                &plan.floor,
                &plan.opacity,
                &u1,
                &v1,
                &x1,
                &y1,
                &u2,
                &v2,
                &x2,
                &y2,
                &shown.map(|it| it.kind.media_type()),
                &shown.map(|it| it.width_px),
                &shown.map(|it| it.height_px),
                &shown.map(|it| number(it.bytes)).transpose()?,
                &shown.map(|it| number(it.revision)).transpose()?,
                &number(plan.revision)?,
                &Moment(plan.updated_at),
                &plan.updated_by,
            ],
        )
        .await
        .map_err(store_error)?;
    if shown.is_none() {
        client.execute("DELETE FROM plan_picture WHERE id = $1", &[&id]).await.map_err(store_error)?;
    } else if let PictureChange::Replaced(bytes) = change {
        let sql = "INSERT INTO plan_picture (id, body) VALUES ($1, $2) \
                   ON CONFLICT (id) DO UPDATE SET body = excluded.body";
        client.execute(sql, &[&id, &&**bytes]).await.map_err(store_error)?;
    }
    Ok(())
}

async fn list<C: GenericClient>(client: &C) -> Result<Vec<Plan>, StoreError> {
    let sql = "SELECT id, name, site, floor, opacity, revision, updated_at, updated_by, \
               media_type, width_px, height_px, bytes, picture_revision, \
               from_u, from_v, from_x_m, from_y_m, to_u, to_v, to_x_m, to_y_m FROM plan ORDER BY id";
    client.query(sql, &[]).await.map_err(store_error)?.iter().map(plan).collect()
}

fn broken(reason: impl std::fmt::Display) -> StoreError {
    Fault::Row("plan", reason.to_string()).into()
}

fn plan(row: &Row) -> Result<Plan, StoreError> {
    let updated_at: Moment = get(row, 6)?;
    Ok(Plan {
        id: PlanId::parse(get(row, 0)?).map_err(broken)?,
        name: get(row, 1)?,
        site: SiteName::parse(get(row, 2)?).map_err(broken)?,
        floor: get(row, 3)?,
        opacity: get(row, 4)?,
        revision: get::<i64>(row, 5)?.cast_unsigned(),
        updated_at: updated_at.0,
        updated_by: get(row, 7)?,
        picture: shown(row, 8)?,
        calibration: calibration(row, 13)?,
    })
}

/// What is known of a picture, from five columns.
fn shown(row: &Row, first: usize) -> Result<Option<Picture>, StoreError> {
    let Some(media_type) = get::<Option<&str>>(row, first)? else { return Ok(None) };
    Ok(Some(Picture {
        kind: PictureKind::from_media_type(media_type)
            .ok_or_else(|| broken(format!("{media_type} is no kind of picture")))?,
        width_px: get(row, first + 1)?,
        height_px: get(row, first + 2)?,
        bytes: get::<i64>(row, first + 3)?.cast_unsigned(),
        revision: get::<i64>(row, first + 4)?.cast_unsigned(),
    }))
}

fn calibration(row: &Row, first: usize) -> Result<Option<Calibration>, StoreError> {
    if get::<Option<f64>>(row, first)?.is_none() {
        return Ok(None);
    }
    let point = |column| -> Result<Point, StoreError> {
        Ok(Point { x: get(row, column)?, y: get(row, column + 1)? })
    };
    let pair = |column| -> Result<Pair, StoreError> {
        Ok(Pair { pixel: point(column)?, metres: point(column + 2)? })
    };
    Calibration::new([pair(first)?, pair(first + 4)?]).map(Some).map_err(broken)
}

async fn picture<C: GenericClient>(
    client: &C,
    id: &PlanId,
) -> Result<Option<(Picture, PictureBytes)>, StoreError> {
    let sql = "SELECT media_type, width_px, height_px, bytes, picture_revision, body \
               FROM plan JOIN plan_picture USING (id) WHERE id = $1";
    let Some(row) = client.query_opt(sql, &[&id.as_str()]).await.map_err(store_error)? else {
        return Ok(None);
    };
    let body: &[u8] = get(&row, 5)?;
    Ok(shown(&row, 0)?.map(|picture| (picture, Arc::from(body))))
}

/// How many plans there are, and how many bytes their pictures have.
pub(crate) async fn amount<C: GenericClient>(client: &C) -> Result<Amount, StoreError> {
    let sql = "SELECT count(*), coalesce(sum(bytes), 0)::bigint FROM plan";
    let row = client.query_one(sql, &[]).await.map_err(store_error)?;
    let (count, bytes): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
    Ok(Amount { count: count.cast_unsigned(), bytes: bytes.cast_unsigned() })
}
